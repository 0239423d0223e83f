//! The command: what goes in and out of it, and its end.

use std::io::Write as _;
use std::process::Stdio;

use rstest::rstest;
use rustix::process::Signal;

use super::{NOWHERE, Running, exec, send};
use crate::harness::blocking;
use crate::harness::process::{binary, complaint, finish};

#[rstest]
#[case("exit 0", 0)]
#[case("exit 3", 3)]
#[case("exit 255", 255)]
#[case("kill -9 $$", 137)]
#[case("kill -TERM $$", 143)]
#[case("exec /nonexistent", 127)]
#[tokio::test]
async fn the_exit_code_is_the_commands(#[case] script: &str, #[case] code: i32) {
    let output = finish(exec(NOWHERE, &[], script)).await;
    assert_eq!(output.status.code(), Some(code), "{}", complaint(&output));
}

#[rstest]
#[case("/nonexistent", 127)]
#[case("/etc/passwd", 126)]
#[tokio::test]
async fn what_cannot_be_run_is_told_as_a_shell_would(#[case] program: &str, #[case] code: i32) {
    let mut command = binary();
    command.args(["exec", "--server", NOWHERE, "--category", "c", "--name", "n", "--report-patience", "0", "--"]);
    command.arg(program);
    let output = finish(command).await;
    assert_eq!(output.status.code(), Some(code));
    assert!(complaint(&output).contains(program), "{}", complaint(&output));
}

#[rstest]
#[case(&["--category", " c"], "--category")]
#[case(&["--server", "ftp://x"], "ftp://x")]
#[tokio::test]
async fn a_mistake_in_the_flags_is_told_and_nothing_runs(#[case] flags: &[&str], #[case] told: &str) {
    let mut command = binary();
    command.arg("exec").args(flags).args(["--name", "n"]);
    if flags[0] != "--category" {
        command.args(["--category", "c"]);
    }
    let output = finish({
        command.args(["--", "/bin/echo", "it runs"]);
        command
    })
    .await;
    assert_eq!(output.status.code(), Some(125), "{}", complaint(&output));
    assert!(complaint(&output).contains(told) && output.stdout.is_empty(), "{}", complaint(&output));
}

#[tokio::test]
async fn the_command_has_our_input_and_output_and_a_session_of_its_own() {
    let mut command = exec(NOWHERE, &[], "cat; cut -d' ' -f1,5,6 /proc/$$/stat");
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let said = blocking(move || {
        running.child.stdin.take().unwrap().write_all(b"in\n").unwrap();
        let said = running.silence();
        assert_eq!(running.code(), Some(0));
        said
    })
    .await;
    let numbers: Vec<&str> = said.strip_prefix("in\n").unwrap().split_whitespace().collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|number| *number == numbers[0]), "pid, group, session: {said}");
}

#[rstest]
#[case(Signal::TERM, "TERM")]
#[case(Signal::INT, "INT")]
#[case(Signal::HUP, "HUP")]
#[case(Signal::USR1, "USR1")]
#[case(Signal::WINCH, "WINCH")]
#[tokio::test]
async fn signals_are_forwarded(#[case] signal: Signal, #[case] name: &str) {
    let script = format!("trap 'echo caught; exit 7' {name}; echo ready; while :; do read line < /dev/zero; done");
    let script = script.replace("read line < /dev/zero", "sleep 0.05");
    let mut running = Running::start(exec(NOWHERE, &[], &script));
    blocking(move || {
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.line(), "caught");
        assert_eq!(running.code(), Some(7));
    })
    .await;
}

/// A child that has left for a session of its own, and does not listen to SIGTERM.
const STUBBORN: &str = "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & ";

#[tokio::test]
async fn what_the_command_leaves_behind_is_ended() {
    let script = format!("{STUBBORN} sleep 1000 & read line; exit 5");
    let mut command = exec(NOWHERE, &["--grace", "0"], &script);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    blocking(move || {
        running.number();
        running.child.stdin.take().unwrap().write_all(b"\n").unwrap();
        running.silence();
        assert_eq!(running.code(), Some(5));
    })
    .await;
}

#[tokio::test]
async fn nothing_runs_on_when_the_wrapper_is_killed() {
    let mut running = Running::start(exec(NOWHERE, &["--grace", "0"], &format!("{STUBBORN} sleep 1000")));
    blocking(move || {
        running.number();
        running.signal(Signal::KILL);
        running.silence();
    })
    .await;
}

#[tokio::test]
async fn nothing_runs_on_when_the_guard_is_killed() {
    let script = format!("{STUBBORN} echo $PPID; sleep 1000");
    let mut running = Running::start(exec(NOWHERE, &["--grace", "0"], &script));
    blocking(move || {
        let (one, other) = (running.number(), running.number());
        // Which of them is the guard, is known by its child.
        let guard = if is_guard(one) { one } else { other };
        assert!(is_guard(guard));
        send(guard, Signal::KILL);
        running.silence();
        assert_eq!(running.code(), Some(125));
    })
    .await;
}

fn is_guard(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().contains("exec-guard")
}

#[tokio::test]
async fn the_command_dies_when_wrapper_and_guard_are_killed_at_once() {
    let mut running = Running::start(exec(NOWHERE, &["--grace", "1000"], "echo $PPID; exec sleep 1000"));
    blocking(move || {
        let guard = running.number();
        // Neither can do anything about it any more.
        running.signal(Signal::STOP);
        send(guard, Signal::KILL);
        running.signal(Signal::KILL);
        running.silence();
    })
    .await;
}
