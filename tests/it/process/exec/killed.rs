//! Killed or stopped processes of `exec`: no process keeps running.

use rstest::rstest;
use rustix::process::Signal;

use super::{NOWHERE, Running, exec, parent, send};
use crate::harness::blocking;

/// A daemon in its own session that ignores SIGTERM, beside the command.
const DAEMON: &str = "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & sleep 0.2; echo $$; \
     exec sleep 1000";

/// The stopped and the killed processes: `w`rapper, `m`onitor, `s`upervisor, all at once.
#[rstest]
#[case("", "w")]
#[case("", "m")]
#[case("", "s")]
#[case("", "wm")]
#[case("", "ws")]
#[case("", "ms")]
#[case("m", "w")]
#[case("s", "w")]
#[case("ms", "w")]
#[case("w", "m")]
#[case("s", "m")]
#[case("w", "s")]
#[case("m", "s")]
#[case("s", "wm")]
#[case("m", "ws")]
#[case("w", "ms")]
#[tokio::test]
async fn no_daemon_runs_on(#[case] stopped: &str, #[case] killed: &str) {
    let mut running = Running::start(exec(NOWHERE, &["--grace", "0"], DAEMON));
    let (stopped, killed) = (stopped.to_owned(), killed.to_owned());
    blocking(move || {
        let (daemon, command) = (running.number(), running.number());
        let supervisor = parent(command);
        let (monitor, wrapper) = (parent(supervisor), running.child.id());
        assert_eq!(parent(monitor), wrapper);
        let named = |name: char| match name {
            'w' => wrapper,
            'm' => monitor,
            _ => supervisor,
        };
        // No process can act before the last one is killed.
        for name in stopped.chars().chain(killed.chars()) {
            send(named(name), Signal::STOP);
        }
        for name in killed.chars() {
            send(named(name), Signal::KILL);
        }
        // A stopped wrapper does nothing until it is continued, as without `exec`.
        if stopped.contains('w') {
            send(wrapper, Signal::CONT);
        }
        assert!(std::path::Path::new(&format!("/proc/{daemon}")).exists() || running.silence().is_empty());
        running.silence();
        if !killed.contains('w') {
            assert_eq!(running.code(), Some(125), "{}", running.log());
        }
    })
    .await;
}

#[tokio::test]
async fn the_command_dies_when_all_are_killed_at_once() {
    let mut running = Running::start(exec(NOWHERE, &["--grace", "1000"], "echo $$; exec sleep 1000"));
    blocking(move || {
        let supervisor = parent(running.number());
        let all = [running.child.id(), parent(supervisor), supervisor];
        for pid in all {
            send(pid, Signal::STOP);
        }
        for pid in all {
            send(pid, Signal::KILL);
        }
        running.silence();
    })
    .await;
}

#[tokio::test]
async fn a_stopped_supervisor_is_woken_for_a_signal() {
    let mut running = Running::start(exec(NOWHERE, &[], "echo $$; exec sleep 1000"));
    blocking(move || {
        send(parent(running.number()), Signal::STOP);
        running.signal(Signal::TERM);
        assert_eq!(running.code(), Some(143));
    })
    .await;
}
