//! On a terminal: script(1) makes one.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{NOWHERE, needed, stat};
use crate::harness::blocking;

/// Our command line up to `--`.
fn command_line() -> String {
    let program = env!("CARGO_BIN_EXE_plugin-registry");
    format!("{program} exec --server {NOWHERE} --report-patience 0 --log-level off --category c --name n --")
}

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
        // A hang ends with `timeout`, and is then seen as the end of the screen.
        let mut script = Command::new("timeout");
        script.args(["--kill-after=1", "15", "script", "--quiet", "--return", "--command"]);
        script.arg(command.replace("EXEC", &command_line())).arg("/dev/null").env("SHELL", "/bin/sh");
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
        let mut terminal = Terminal::run("trap : INT; EXEC sh -c 'echo ready; exec sleep 1000'; echo code $?");
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

/// The end of a pipeline, which reads from the keyboard as less(1) does.
const PAGER: &str = "sh -c \"cat; echo page; read key </dev/tty; echo key \\$key\"";

#[tokio::test]
async fn a_pager_after_exec_reads_the_keyboard() {
    blocking(|| {
        let mut terminal = Terminal::run(&format!("bash --norc -c 'set -m; EXEC echo text | {PAGER}; echo code $?'"));
        terminal.shows("text");
        terminal.shows("page");
        terminal.types("q\n");
        terminal.shows("key q");
        terminal.shows("code 0");
    })
    .await;
}

#[tokio::test]
async fn a_command_in_a_pipeline_asks_for_a_password() {
    blocking(|| {
        let script = "stty -echo </dev/tty; printf password? >/dev/tty; read word </dev/tty; stty echo </dev/tty; \
                      echo said \\$word; cat";
        let mut terminal =
            Terminal::run(&format!("bash --norc -c 'set -m; echo input | EXEC sh -c \"{script}\" | cat'"));
        terminal.shows("password?");
        terminal.types("secret\n");
        assert!(!terminal.shows("said secret").contains("secret"), "it was shown");
        terminal.shows("input");
    })
    .await;
}

#[tokio::test]
async fn control_z_stops_the_command_also_when_its_input_is_redirected() {
    blocking(|| {
        let script = "set -m; EXEC sh -c \"echo ready \\$\\$; exec sleep 1000\" </dev/null; echo stopped $?; \
                      kill %1; fg; echo code $?";
        let mut terminal = Terminal::run(&format!("bash --norc --noprofile -c '{}'", script));
        terminal.shows("ready");
        terminal.types("\u{1a}");
        terminal.shows("stopped 148");
        terminal.shows("code 143");
    })
    .await;
}

#[tokio::test]
async fn a_command_that_does_not_stop_at_control_z_keeps_the_terminal() {
    blocking(|| {
        let script =
            "set -m; EXEC sh -c \"trap \\\"\\\" TSTP; echo ready; read line; echo line \\$line\"; echo code $?";
        let mut terminal = Terminal::run(&format!("bash --norc --noprofile -c '{script}'"));
        terminal.shows("ready");
        terminal.types("\u{1a}");
        terminal.types("typed\n");
        terminal.shows("line typed");
        terminal.shows("code 0");
    })
    .await;
}

#[tokio::test]
async fn a_command_in_the_background_is_stopped_when_it_reads() {
    blocking(|| {
        let script = "set -m; EXEC sh -c \"read line; echo line \\$line\" & sleep 0.1; until jobs | grep -q Stopped; \
                      do sleep 0.1; done; fg; echo code $?";
        let mut terminal = Terminal::run(&format!("bash --norc --noprofile -c '{script}'"));
        terminal.shows("Stopped");
        terminal.types("typed\n");
        terminal.shows("line typed");
        terminal.shows("code 0");
    })
    .await;
}

#[tokio::test]
async fn control_c_ends_the_script_that_has_started_exec() {
    blocking(|| {
        let script = "for i in 1 2; do EXEC sh -c \"echo ready; exec sleep 1000\"; done; echo went on";
        let mut terminal = Terminal::run(&format!("trap : INT; bash --norc --noprofile -c '{script}'; echo code $?"));
        terminal.shows("ready");
        terminal.types("\u{3}");
        assert!(!terminal.shows("code 130").contains("went on"));
    })
    .await;
}

/// Stops the server of a socket, also after a failed test.
struct TmuxServer(String);

impl Drop for TmuxServer {
    fn drop(&mut self) {
        drop(Command::new("tmux").args(["-S", &self.0, "kill-server"]).output());
    }
}

#[tokio::test]
async fn exec_in_an_interactive_shell_of_tmux() {
    let folder = tempfile::TempDir::new().unwrap();
    needed("tmux");
    blocking(move || {
        let socket = folder.path().join("tmux").display().to_string();
        let _server = TmuxServer(socket.clone());
        let tmux = |args: &[&str]| {
            let mut tmux = Command::new("tmux");
            tmux.args(["-S", &socket, "-f", "/dev/null"]).args(args).env("SHELL", "/bin/bash");
            let output = tmux.output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        tmux(&["new-session", "-d", "-x", "200", "-y", "50", "HISTFILE= exec bash --norc --noprofile"]);
        let shows = |text: &str| {
            let deadline = std::time::Duration::from_secs(15);
            let begun = tokio::time::Instant::now();
            while !tmux(&["capture-pane", "-p", "-J"]).contains(text) {
                assert!(begun.elapsed() < deadline, "`{text}` has not come: {}", tmux(&["capture-pane", "-p", "-J"]));
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        };
        let types = |line: &str| drop(tmux(&["send-keys", line, "Enter"]));
        types(&format!("PS1='> '; alias x='{}'; shopt -s expand_aliases", command_line()));
        types("x sh -c 'echo one; echo ready; read l </dev/tty; echo got $l' | cat");
        shows("\nready");
        tmux(&["send-keys", "C-z"]);
        shows("Stopped");
        types("fg");
        // Before that, the shell reads the keys.
        let shell = tmux(&["display-message", "-p", "#{pane_pid}"]).trim().to_owned();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let is_in_front = |pid: &str| stat(pid.parse().unwrap(), 5) == stat(pid.parse().unwrap(), 8);
        while !std::fs::read_to_string(&children).unwrap().split_whitespace().any(is_in_front) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        types("typed");
        shows("\ngot typed");
        types("echo code $?");
        shows("\ncode 0");
    })
    .await;
}
