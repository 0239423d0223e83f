//! `plugin-registry exec`, with the real binary.

mod command;
mod registry;
mod terminal;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::process::binary;

/// Where no registry is: port 1 of the loopback is nobody's.
const NOWHERE: &str = "http://127.0.0.1:1";

/// `exec` of a shell script as the plugin `c_n`, with more flags.
fn exec(server: &str, flags: &[&str], script: &str) -> Command {
    let mut command = binary();
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.args(["exec", "--server", server, "--category", "c", "--name", "n", "--host", "test"]);
    command.args(["--report-patience", "1"]).args(flags).args(["--", "sh", "-c", script]);
    command
}

/// A command that runs, and what it says.
struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Running { child, said }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn number(&mut self) -> u32 {
        let line = self.line();
        line.parse().unwrap_or_else(|_| panic!("not a number: {line:?}"))
    }

    fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits until nobody has its standard output any more: neither it, nor what it has started.
    fn silence(&mut self) -> String {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        rest
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of a test that has failed; the guard ends the rest.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}
