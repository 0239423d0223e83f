//! On a terminal: script(1) makes one.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::harness::blocking;

/// A terminal in which a shell command runs.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Terminal {
    /// Runs a shell command; `EXEC` in it stands for our command line up to `--`.
    fn run(command: &str) -> Terminal {
        let exec = format!(
            "{} exec --server http://127.0.0.1:1 --report-patience 0 --log-level error --category c --name n --",
            env!("CARGO_BIN_EXE_plugin-registry")
        );
        // A hang ends with `timeout`, and is then seen as the end of the screen.
        let mut script = Command::new("timeout");
        script.args(["--kill-after=1", "15", "script", "--quiet", "--return", "--command"]);
        script.arg(command.replace("EXEC", &exec)).arg("/dev/null").env("SHELL", "/bin/sh");
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Terminal { child, keys, screen, seen: String::new() }
    }

    /// Waits until `text` is on the screen; what stands before it is not looked at again.
    fn shows(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(text) {
                let before = self.seen[..at].to_owned();
                self.seen.drain(..at + text.len());
                return before;
            }
            let mut buffer = [0; 4096];
            let read = self.screen.read(&mut buffer).unwrap();
            assert!(read > 0, "`{text}` has not come: {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn code(mut self) -> Option<i32> {
        drop(self.keys);
        self.child.wait().unwrap().code()
    }
}

#[tokio::test]
async fn the_command_has_the_terminal() {
    blocking(|| {
        // Its process group is that of the foreground, and the terminal is the one that controls it.
        let script = "sh -c 'cut -d\" \" -f5,8 /proc/$$/stat; exec 3</dev/tty && echo and it is ours; exit 4'";
        let mut terminal = Terminal::run(&format!("EXEC {script}"));
        let groups = terminal.shows("and it is ours");
        let groups: Vec<&str> = groups.split_whitespace().collect();
        assert!(groups.len() == 2 && groups[0] == groups[1], "{groups:?}");
        assert_eq!(terminal.code(), Some(4));
    })
    .await;
}

#[tokio::test]
async fn control_c_interrupts_the_command_and_the_shell_goes_on() {
    blocking(|| {
        let mut terminal = Terminal::run("EXEC sh -c 'echo ready; exec sleep 1000'; echo code $?");
        terminal.shows("ready");
        terminal.types("\u{3}");
        terminal.shows("code 130");
        assert_eq!(terminal.code(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn control_z_stops_the_command_and_fg_continues_it() {
    blocking(|| {
        let script = "set -m; EXEC sh -c \"echo ready; exec cat\"; echo stopped $?; fg; echo code $?";
        let mut terminal = Terminal::run(&format!("bash --norc --noprofile -c '{script}'"));
        terminal.shows("ready");
        terminal.types("\u{1a}");
        terminal.shows("stopped 148");
        terminal.types("hello\n");
        // Once typed, once said.
        terminal.shows("hello");
        terminal.shows("hello");
        terminal.types("\u{4}");
        terminal.shows("code 0");
    })
    .await;
}
