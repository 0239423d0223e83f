//! The real binary, as a child process on a port of its own choice.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::violation::Violation;

/// How long a start or a stop may take before it counts as a hang. Much more than it ever takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a server is started, again and again on the same store.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    store: PathBuf,
    log: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Launch {
    /// On the store at `store`; what the server logs is appended to `log`.
    pub(crate) fn new(store: &Path, log: &Path) -> Launch {
        Launch { store: store.to_owned(), log: log.to_owned(), environment: Vec::new() }
    }

    /// With an environment variable. It gets no others: a setting in the developer's shell must not decide a test.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Launch {
        self.environment.push((name, value.into()));
        self
    }

    /// With several, which may be none.
    pub(crate) fn with_each(self, environment: &[(&'static str, &str)]) -> Launch {
        environment.iter().fold(self, |launch, (name, value)| launch.with(name, value))
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// Starts the process, and does not wait until it serves.
    pub(crate) fn spawn(&self) -> Result<Booting, Violation> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut store = OsString::from("sqlite:");
        store.push(&self.store);
        let mut child = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
            .args(["serve", "--listen", "127.0.0.1:0", "--probe-own-host=false", "--log-level", "warn", "--store"])
            .arg(store)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let (said, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // Ends with the process: the end of its standard output is how we learn that it exited.
            std::thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                lines.map(|line| said.send(line)).take_while(Result::is_ok).for_each(drop);
            });
        }
        Ok(Booting { process: Process(child), lines, log: self.log.clone() })
    }

    /// Starts the process, and returns when it accepts connections.
    pub(crate) fn start(&self) -> Result<Server, Violation> {
        self.spawn()?.ready()
    }

    /// What the server logged, for the message of a failure.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_else(|error| format!("no log: {error}"))
    }
}

/// A process that may not serve yet.
pub(crate) struct Booting {
    process: Process,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Booting {
    /// Waits for the line with the address.
    pub(crate) fn ready(self) -> Result<Server, Violation> {
        let line = self.lines.recv_timeout(PATIENCE).map_err(|error| {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            Violation::Server(format!("did not start ({error}): {log}"))
        })?;
        match line.strip_prefix("plugin-registry is listening on ") {
            Some(address) => Ok(Server { address: address.to_owned(), process: self.process, lines: self.lines }),
            None => Err(Violation::Server(format!("said {line:?} instead of where it listens"))),
        }
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }
}

/// A serving process. Dropped, it is killed.
pub(crate) struct Server {
    address: String,
    process: Process,
    lines: Receiver<String>,
}

impl Server {
    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> Result<Pid, Violation> {
        let pid = i32::try_from(self.process.0.id()).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| Violation::Harness("a process without an id".into()))
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }

    /// Returns true if and only if the process is gone by itself before `patience` is at an end.
    pub(crate) fn is_gone_within(&self, patience: Duration) -> bool {
        matches!(self.lines.recv_timeout(patience), Err(RecvTimeoutError::Disconnected))
    }

    /// SIGTERM; returns when the process is gone.
    ///
    /// # Errors
    /// When it hangs, or exits with anything but 0.
    pub(crate) fn stop(mut self) -> Result<(), Violation> {
        kill_process(self.pid()?, Signal::TERM).map_err(std::io::Error::from)?;
        match self.lines.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => return Err(Violation::Server("did not stop".into())),
            Ok(line) => return Err(Violation::Server(format!("said a second line: {line:?}"))),
        }
        let status = self.process.0.wait()?;
        if status.success() { Ok(()) } else { Err(Violation::Server(format!("stopped with {status}"))) }
    }
}

/// The child itself, which never outlives its handle.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        // Neither can fail for a child that was not waited for, and after that there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
