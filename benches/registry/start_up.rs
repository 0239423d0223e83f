//! The real binary on a full store: how soon it answers, and how much memory a plugin takes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use plugin_registry::store::StoreUrl;
use tokio::time::Instant;

use crate::documents::unique_id;
use crate::samples::Samples;
use crate::settings::Settings;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table};
use crate::wire::{Connection, get};

/// Measures it.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let [mut times, mut times_empty, mut overheads] = [Samples::default(), Samples::default(), Samples::default()];
    let json = mean_length(stores)?;
    for _ in 0..settings.rounds {
        let empty = Process::start(&stores.empty, "/healthz")?;
        let full = Process::start(&stores.full, &format!("/plugins/{}", unique_id(settings.plugins / 2)))?;
        let plugin = (full.memory()? - empty.memory()?) / settings.plugins as f64;
        overheads.push((plugin - json) / 1024.0);
        times.push(full.ready_after.as_secs_f64());
        times_empty.push(empty.ready_after.as_secs_f64());
    }
    let what = format!("Start with {} plugins until the first answer", settings.plugins);
    table.judge(&what, (&times, "s"), (&times_empty, "s, with none"), Aim::AtMost(2.0));
    table.judge_alone("Memory of a plugin over its JSON", (&overheads, "KiB"), Aim::AtMost(3.0));
    table.note(format!(
        "Start: the release binary on a store whose file the kernel has in memory, from before its process is made \
         to the whole answer to a GET. Memory: resident, right after that, less that of the binary with no plugin, \
         divided by the plugins, less the {json:.0} bytes of a plugin's JSON."
    ));
    Ok(())
}

/// How long the JSON of a plugin is on average, in bytes.
fn mean_length(stores: &Stores) -> anyhow::Result<f64> {
    let snapshot = stores::open(&StoreUrl::Sqlite(stores.full.clone()))?.snapshot();
    let plugins = snapshot.state.plugins();
    let sum: usize = plugins.values().map(|record| record.json.len()).sum();
    Ok(sum as f64 / plugins.size() as f64)
}

/// `plugin-registry serve`, killed when it is dropped.
struct Process {
    child: Child,
    /// From before it was started until its first answer had arrived.
    ready_after: Duration,
}

impl Process {
    /// Starts it on a store, and asks for `path`.
    fn start(store: &Path, path: &str) -> anyhow::Result<Process> {
        let begin = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
            .args(["serve", "--listen", "127.0.0.1:0", "--probe-own-host=false", "--store"])
            .arg(format!("sqlite:{}", store.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("the binary cannot be started")?;
        let mut process = Process { child, ready_after: Duration::ZERO };
        let output = process.child.stdout.take().context("the binary has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").context("the binary does not say where it listens")?.1;
        let mut connection = Connection::open(address.parse()?)?;
        connection.send(&get(path))?;
        let status = connection.receive()?.status;
        process.ready_after = begin.elapsed();
        ensure!(status == 200, "the binary answered {status}");
        Ok(process)
    }

    /// The memory that it has in use, in bytes (proc(5): `VmRSS`).
    fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = field.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to save in either case.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
