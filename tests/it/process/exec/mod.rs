//! `plugin-registry exec`, with the real binary: a command behaves under it as without it.
//!
//! | file | subject |
//! |---|---|
//! | `command` | input, output and end of the command |
//! | `signals` | which process gets a signal; signals ignored or blocked at the start |
//! | `killed` | killed or stopped processes of `exec` |
//! | `namespaces` | pid namespaces; a /proc of another namespace, or none |
//! | `systemd` | socket activation and notifications |
//! | `terminal` | terminals, pipelines, job control |
//! | `stop_requests` | requests to stop the command |
//! | `registry`, `refusals` | reports to the registry, and its responses |

mod command;
mod killed;
mod namespaces;
mod refusals;
mod registry;
mod signals;
mod stop_requests;
mod systemd;
mod terminal;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::harness::blocking;
use crate::harness::process::binary;

/// The address of no server: nothing listens on port 1 of the loopback.
const NOWHERE: &str = "http://127.0.0.1:1";

/// `exec` of a shell script as the plugin `c_n`, with more flags.
fn exec(server: &str, flags: &[&str], script: &str) -> Command {
    exec_of(binary(), server, flags, script)
}

/// The same, started by another program with its own flags before.
fn exec_by(runner: &[&str], server: &str, flags: &[&str], script: &str) -> Command {
    let (program, rest) = runner.split_first().unwrap();
    let mut command = Command::new(needed(program));
    command.env_clear().stdin(Stdio::null()).args(rest).arg(env!("CARGO_BIN_EXE_plugin-registry"));
    exec_of(command, server, flags, script)
}

fn exec_of(mut command: Command, server: &str, flags: &[&str], script: &str) -> Command {
    command.env("PATH", std::env::var_os("PATH").unwrap());
    // Ends that no registry hears of are not kept in the developer's home.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(["exec", "--server", server]);
    for (flag, usual) in [("--category", "c"), ("--name", "n"), ("--host", "test"), ("--report-patience", "1")] {
        if !flags.contains(&flag) {
            command.args([flag, usual]);
        }
    }
    command.args(flags).args(["--", "sh", "-c", script]);
    command
}

/// Checks that a program is installed.
fn needed(program: &str) -> &str {
    let path = std::env::var_os("PATH").unwrap();
    let is_there =
        program.starts_with('/') || std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(is_there, "this test needs the program `{program}`, which `./tests/run rust` installs");
    program
}

/// A command that runs, and what it says.
struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
    log: NamedTempFile,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let log = NamedTempFile::new().unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log.reopen().unwrap()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Running { child, said, log }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn number(&mut self) -> u32 {
        let line = self.line();
        line.parse().unwrap_or_else(|_| panic!("not a number: {line:?}; the log: {}", self.log()))
    }

    /// The standard error so far.
    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// Waits until the process has logged `text`. A thread reads the log.
    async fn logs(self, text: &'static str) {
        blocking(move || {
            while !self.log().contains(text) {
                std::thread::sleep(Duration::from_millis(5));
            }
        })
        .await;
    }

    fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits until no process has the standard output open: neither the command nor its descendants.
    fn silence(&mut self) -> String {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        rest
    }

    /// The exit code as a shell reports it.
    fn code(&mut self) -> Option<i32> {
        code_of(self.child.wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Runs after a failed test; the other processes of `exec` end the rest.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The exit code, or 128 plus the signal.
fn code_of(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| Some(128 + status.signal()?))
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// A field of /proc/PID/stat, counted from 1 as in proc_pid_stat(5).
fn stat(pid: u32, field: usize) -> u32 {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_command = line.rsplit_once(')').unwrap().1;
    after_command.split_whitespace().nth(field - 3).unwrap().parse().unwrap()
}

fn parent(pid: u32) -> u32 {
    stat(pid, 4)
}
