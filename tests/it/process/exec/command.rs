//! The command: what goes in and out of it, and its end.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use rstest::rstest;
use rustix::process::Signal;

use super::{NOWHERE, Running, code_of, exec, exec_by, stat};
use crate::harness::blocking;
use crate::harness::process::{binary, complaint, finish, run};

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
    assert_eq!(code_of(output.status), Some(code), "{}", complaint(&output));
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

/// A shell sees the signal, so that an interrupted script ends, and systemd regards SIGTERM as a clean end.
#[rstest]
#[case("INT", 2)]
#[case("TERM", 15)]
#[case("KILL", 9)]
#[case("SEGV", 11)]
#[tokio::test]
async fn a_command_that_was_killed_by_a_signal_ends_exec_by_the_same(#[case] name: &str, #[case] signal: i32) {
    let output = finish(exec(NOWHERE, &[], &format!("kill -{name} $$"))).await;
    assert_eq!(output.status.signal(), Some(signal), "{}", complaint(&output));
}

#[rstest]
#[case::unknown_flag(&["exec", "--bogus", "--", "true"])]
#[case::no_name(&["exec", "--category", "c", "--", "true"])]
#[case::no_command(&["exec", "--category", "c", "--name", "n"])]
#[case::no_log_level(&["exec", "--log-level", "loud", "--category", "c", "--name", "n", "--", "true"])]
#[case::no_token(&["exec", "--token", "x", "--category", "c", "--name", "n", "--", "true"])]
#[case::label(&["exec", "--label", "=x", "--category", "c", "--name", "n", "--", "true"])]
#[tokio::test]
async fn every_mistake_in_the_flags_ends_with_125(#[case] args: &[&str]) {
    let output = run(args).await;
    assert_eq!(output.status.code(), Some(125), "{}", complaint(&output));
    assert!(!complaint(&output).is_empty());
}

#[tokio::test]
async fn help_is_no_mistake() {
    assert_eq!(run(&["exec", "--help"]).await.status.code(), Some(0));
}

#[tokio::test]
async fn the_command_has_our_input_output_session_and_process_group() {
    let mut command = exec(NOWHERE, &[], "cat; cut -d' ' -f5,6 /proc/$$/stat");
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let (said, ours) = blocking(move || {
        running.child.stdin.take().unwrap().write_all(b"in\n").unwrap();
        let said = running.silence();
        assert_eq!(running.code(), Some(0));
        (said, format!("in\n{} {}\n", stat(std::process::id(), 5), stat(std::process::id(), 6)))
    })
    .await;
    assert_eq!(said, ours);
}

#[tokio::test]
async fn a_pipe_that_the_command_closes_is_closed() {
    // 5 is an additional inherited descriptor.
    let mut command = exec_by(
        &["sh", "-c", "exec 5>&1; exec \"$0\" \"$@\""],
        NOWHERE,
        &[],
        "echo open; exec >&- 5>&-; exec sleep 1000",
    );
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    blocking(move || {
        assert_eq!(running.silence(), "open\n");
        // The same for its input: a reader that never reads must not block a producer.
        let mut producer = running.child.stdin.take().unwrap();
        assert!(running.child.try_wait().unwrap().is_none(), "it runs on");
        running.signal(Signal::TERM);
        assert_eq!(running.code(), Some(143));
        assert!(producer.write_all(b"x").is_err());
    })
    .await;
}

#[tokio::test]
async fn a_producer_sees_that_the_command_has_closed_its_input() {
    let mut command = exec(NOWHERE, &[], "exec <&-; echo closed; exec sleep 1000");
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    blocking(move || {
        assert_eq!(running.line(), "closed");
        // `exec` closes its copies as soon as the command has its own.
        let mut producer = running.child.stdin.take().unwrap();
        while producer.write_all(b"x").is_ok() {
            std::thread::yield_now();
        }
        running.signal(Signal::TERM);
        assert_eq!(running.code(), Some(143));
    })
    .await;
}

#[rstest]
#[case(&[], "none")]
#[case(&["--pass-token"], TOKEN)]
#[tokio::test]
async fn the_token_is_not_the_commands(#[case] flags: &[&str], #[case] seen: &str) {
    let mut command = exec(NOWHERE, flags, "echo ${PLUGIN_REGISTRY_TOKEN:-none}");
    command.env("PLUGIN_REGISTRY_TOKEN", TOKEN);
    let output = finish(command).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), seen, "{}", complaint(&output));
}

#[tokio::test]
async fn what_opentelemetry_is_told_for_the_command_does_not_keep_it_from_running() {
    let mut command = exec(NOWHERE, &[], "echo $OTEL_EXPORTER_OTLP_PROTOCOL");
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").env("OTEL_EXPORTER_OTLP_ENDPOINT", NOWHERE);
    let output = finish(command).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "grpc", "{}", complaint(&output));
    assert!(complaint(&output).contains("cannot trace"), "{}", complaint(&output));
}

/// A token that no registry knows.
const TOKEN: &str = "plr_0123456789abcdef_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A child in its own session that ignores SIGTERM.
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
async fn what_ends_by_itself_with_the_command_is_not_counted_as_left_behind() {
    // Python's multiprocessing has a resource tracker that waits for the end of a pipe.
    let script =
        "exec python3 -c 'import time, multiprocessing.resource_tracker as r; r.ensure_running(); time.sleep(1)'";
    let folder = tempfile::TempDir::new().unwrap();
    let output = finish(exec(NOWHERE, &["--unreported", folder.path().to_str().unwrap()], script)).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    let kept = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(kept.path()).unwrap()).unwrap();
    assert_eq!(kept["exit"], "code 0");
}
