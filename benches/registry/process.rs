//! The real binary as a child process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use crate::wire::{Connection, get};

/// `plugin-registry serve`, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// The address it listens on; unused for an agent.
    pub(crate) address: SocketAddr,
    /// The time from the start until its first response.
    pub(crate) ready_after: Duration,
}

impl Process {
    /// Starts the binary on a store, and requests `path`.
    pub(crate) fn start(store: &Path, path: &str) -> anyhow::Result<Process> {
        let begin = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
            .args(["serve", "--listen", "127.0.0.1:0", "--probe-own-host=false", "--store"])
            .arg(format!("sqlite:{}", store.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("the binary cannot be started")?;
        let mut process = Process { child, address: ([127, 0, 0, 1], 0).into(), ready_after: Duration::ZERO };
        let output = process.child.stdout.take().context("the binary has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").context("the binary does not say where it listens")?.1;
        process.address = address.parse()?;
        let mut connection = Connection::open(process.address)?;
        connection.send(&get(path))?;
        let status = connection.receive()?.status;
        process.ready_after = begin.elapsed();
        ensure!(status == 200, "the binary answered {status}");
        Ok(process)
    }

    /// Starts an agent of the registry at `server`.
    pub(crate) fn agent(server: SocketAddr, host: &str) -> anyhow::Result<Process> {
        let child = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
            .args(["agent", "--server", &format!("http://{server}"), "--host", host])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the binary cannot be started")?;
        Ok(Process { child, address: server, ready_after: Duration::ZERO })
    }

    /// The processor time so far, in seconds (proc(5): utime and stime of `stat`).
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit(')').next().context("no fields")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
    }

    /// The resident memory, in bytes (proc(5): `VmRSS`).
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = field.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already; nothing is lost in either case.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
