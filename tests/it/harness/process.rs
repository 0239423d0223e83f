//! The real binary, as a child process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::{Client, PATIENCE, RawConnection, blocking, within_patience};

/// `plugin-registry`, without the settings in the developer's environment.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-registry"));
    command.env_clear().stdin(Stdio::null());
    // Most tests hold processes that do not exist, and count revisions.
    command.env("PLUGIN_REGISTRY_PROBE_OWN_HOST", "false");
    // What `exec` keeps for later must not come into the developer's home.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs `plugin-registry` with `args` to its end.
pub(crate) async fn run(args: &[&str]) -> Output {
    let mut command = binary();
    command.args(args);
    finish(command).await
}

/// Runs a command to its end; a hanging one is killed, and the test fails.
pub(crate) async fn finish(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the command cannot be started");
    let id = pid_of(&child);
    let waited = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(output) = tokio::time::timeout(PATIENCE, waited).await else {
        kill_process(id, Signal::KILL).expect("it cannot be killed");
        panic!("{command:?} has not ended");
    };
    output.expect("the waiting panicked").expect("it cannot be waited for")
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("Linux has no such pid")).expect("a pid is not 0")
}

/// The standard error of a command.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A listening `plugin-registry serve`.
pub(crate) struct Daemon {
    child: Option<Child>,
    log: NamedTempFile,
    /// The address it listens on.
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// Serves the SQLite store at `store`.
    pub(crate) async fn start(store: &Path) -> Daemon {
        Daemon::start_with(store, &[]).await
    }

    /// Serves the SQLite store at `store`, with more flags.
    pub(crate) async fn start_with(store: &Path, flags: &[&str]) -> Daemon {
        let mut command = binary();
        command.args(["serve", "--listen", "127.0.0.1:0", "--store"]);
        command.arg(format!("sqlite:{}", store.display())).args(flags);
        Daemon::spawn(command).await
    }

    /// Starts a command that serves, and waits until it prints its address.
    pub(crate) async fn spawn(mut command: Command) -> Daemon {
        let log = NamedTempFile::new().expect("no temporary file");
        let stderr = log.reopen().expect("the log cannot be opened");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the binary cannot be started");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let line = blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).expect("standard output cannot be read");
            line
        })
        .await;
        let address =
            line.strip_prefix("plugin-registry is listening on ").and_then(|rest| rest.trim_end().split_once("://"));
        let mut daemon = Daemon { child: Some(child), log, address: "127.0.0.1:0".parse().unwrap() };
        let (_, address) = address.unwrap_or_else(|| panic!("it said {line:?} and logged {}", daemon.log()));
        daemon.address = address.parse().expect("an address");
        daemon
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) async fn raw(&self) -> RawConnection {
        RawConnection::open(self.address).await
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("the log is text")
    }

    /// Waits until the process has logged a text. A thread reads the log.
    pub(crate) async fn has_logged(&self, text: &str) {
        within_patience(text, async {
            while !self.log().contains(text) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Stops the process by SIGTERM, and checks that it succeeds; returns the log.
    pub(crate) async fn end(self) -> String {
        self.signal(Signal::TERM);
        let (status, log) = self.exit().await;
        assert_eq!(status.code(), Some(0), "{log}");
        log
    }

    /// The id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs until `exit`").id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs until `exit`");
        kill_process(pid_of(child), signal).expect("it cannot be signalled");
    }

    /// Waits for the end; returns the exit status and the log.
    pub(crate) async fn exit(mut self) -> (ExitStatus, String) {
        let mut child = self.child.take().expect("it is waited for once");
        let status = blocking(move || child.wait().expect("it cannot be waited for")).await;
        (status, self.log())
    }

    /// Stops it with SIGTERM, and expects success.
    pub(crate) async fn stop(self) {
        self.end().await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Reached if a test failed before `exit`. The process may have ended already.
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
