//! Signals: which processes get them, and signals that were ignored or blocked at the start of `exec`.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::SigSet;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{NOWHERE, Running, exec, exec_by, parent, send};
use crate::harness::blocking;
use crate::harness::process::finish;

/// Prints each signal that it catches; `USR1` ends it.
const LISTENER: &str =
    "trap 'echo caught' TERM HUP; trap 'echo marker; exit 0' USR1; echo $$; while :; do sleep 0.05; done";

#[rstest]
#[case(Signal::TERM, "TERM")]
#[case(Signal::INT, "INT")]
#[case(Signal::HUP, "HUP")]
#[case(Signal::QUIT, "QUIT")]
#[case(Signal::ABORT, "ABRT")]
#[case(Signal::ALARM, "ALRM")]
#[case(Signal::USR1, "USR1")]
#[case(Signal::WINCH, "WINCH")]
#[case(Signal::POWER, "PWR")]
#[tokio::test]
async fn signals_are_forwarded(#[case] signal: Signal, #[case] name: &str) {
    let script = format!("trap 'echo caught; exit 7' {name}; echo ready; while :; do sleep 0.05; done");
    let mut running = Running::start(exec(NOWHERE, &[], &script));
    blocking(move || {
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.line(), "caught");
        assert_eq!(running.code(), Some(7));
    })
    .await;
}

#[tokio::test]
async fn real_time_signals_are_forwarded() {
    let script = "exec bash -c 'trap \"echo caught; exit 7\" RTMIN+3; echo ready; while :; do sleep 0.05; done'";
    let mut running = Running::start(exec(NOWHERE, &[], script));
    blocking(move || {
        assert_eq!(running.line(), "ready");
        let kill = format!("kill -RTMIN+3 {}", running.child.id());
        assert!(Command::new("bash").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(running.line(), "caught");
        assert_eq!(running.code(), Some(7));
    })
    .await;
}

/// A parent that ends after its worker, like a server with workers.
const PARENT: &str = "sleep 1000 & worker=$!; trap 'kill -0 $worker && echo it lives; kill -INT $worker; kill $worker; \
     wait $worker; exit 7' TERM; echo ready; wait $worker; wait $worker; echo worker $?; exit 8";

#[tokio::test]
async fn sigterm_reaches_the_command_alone() {
    let mut running = Running::start(exec(NOWHERE, &[], PARENT));
    blocking(move || {
        assert_eq!(running.line(), "ready");
        running.signal(Signal::TERM);
        assert_eq!(running.line(), "it lives");
        assert_eq!(running.code(), Some(7));
    })
    .await;
}

#[tokio::test]
async fn sigterm_reaches_the_workers_if_the_group_is_wanted() {
    let script = "sleep 1000 & worker=$!; trap 'wait $worker; echo worker $?; exit 7' TERM; echo ready; wait $worker";
    let mut running = Running::start(exec(NOWHERE, &["--signal", "group"], script));
    blocking(move || {
        assert_eq!(running.line(), "ready");
        running.signal(Signal::TERM);
        assert_eq!(running.line(), "worker 143");
        assert_eq!(running.code(), Some(7));
    })
    .await;
}

/// A shell signals the process group of its job (`kill %1`).
#[rstest]
#[case(Signal::TERM)]
#[case(Signal::HUP)]
#[tokio::test]
async fn a_signal_to_the_process_group_comes_once(#[case] signal: Signal) {
    let mut command = exec(NOWHERE, &[], LISTENER);
    command.process_group(0);
    let mut running = Running::start(command);
    blocking(move || {
        running.number();
        let group = Pid::from_raw(i32::try_from(running.child.id()).unwrap()).unwrap();
        kill_process_group(group, signal).unwrap();
        assert_eq!(running.line(), "caught");
        running.signal(Signal::USR1);
        assert_eq!(running.line(), "marker");
        assert_eq!(running.code(), Some(0));
    })
    .await;
}

/// systemd signals every process of a unit's control group.
#[tokio::test]
async fn a_signal_to_all_processes_comes_once() {
    let mut running = Running::start(exec(NOWHERE, &[], LISTENER));
    blocking(move || {
        let command = running.number();
        let supervisor = parent(command);
        for pid in [running.child.id(), parent(supervisor), supervisor, command] {
            send(pid, Signal::TERM);
        }
        assert_eq!(running.line(), "caught");
        running.signal(Signal::USR1);
        assert_eq!(running.line(), "marker");
        assert_eq!(running.code(), Some(0));
    })
    .await;
}

/// The signals in a mask of /proc/self/status, as a script prints it.
fn has(mask: &str, signal: Signal) -> bool {
    let mask = u64::from_str_radix(mask.rsplit(['\t', ' ']).next().unwrap(), 16).unwrap();
    mask >> (signal.as_raw() - 1) & 1 == 1
}

#[rstest]
#[case::hangup("HUP", Signal::HUP)]
#[case::background_jobs_of_scripts("INT,QUIT", Signal::INT)]
#[case::stops("TSTP,TTOU", Signal::TSTP)]
#[tokio::test]
async fn what_was_ignored_at_the_start_stays_ignored(#[case] names: &str, #[case] signal: Signal) {
    let script = "grep SigIgn /proc/self/status; read line; exit 3";
    let mut command = exec_by(&["env", &format!("--ignore-signal={names}")], NOWHERE, &[], script);
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    blocking(move || {
        let line = running.line();
        assert!(has(&line, signal), "{line}");
        running.signal(signal);
        drop(running.child.stdin.take());
        assert_eq!(running.code(), Some(3), "{}", running.log());
    })
    .await;
}

#[tokio::test]
async fn the_exit_code_is_known_where_the_ends_of_children_are_ignored() {
    let runner = ["env", "--ignore-signal=CHLD"];
    let mut running = Running::start(exec_by(&runner, NOWHERE, &[], "exit 3"));
    assert_eq!(blocking(move || running.code()).await, Some(3));
    // A shell resets the mask, so the command itself prints it.
    let mut command = Command::new("env");
    command.args([runner[1], env!("CARGO_BIN_EXE_plugin-registry"), "exec", "--server", NOWHERE]);
    command.args([
        "--report-patience",
        "0",
        "--category",
        "c",
        "--name",
        "n",
        "--",
        "grep",
        "SigIgn",
        "/proc/self/status",
    ]);
    let output = finish(command).await;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(has(&said, Signal::CHILD), "{said}");
}

#[tokio::test]
async fn nohup_keeps_a_command_from_the_end_of_its_terminal() {
    let mut running = Running::start(exec_by(&["nohup"], NOWHERE, &[], "echo ready; sleep 0.3; echo still here"));
    blocking(move || {
        assert_eq!(running.line(), "ready");
        running.signal(Signal::HUP);
        assert_eq!(running.line(), "still here");
        assert_eq!(running.code(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn what_was_ignored_at_the_start_is_handled_if_the_command_handles_it() {
    // As without `exec`: a server that reloads on SIGHUP does so under nohup, too.
    let script = "exec bash -c 'exec env --default-signal=HUP sh -c \"trap \\\"echo caught; exit 7\\\" HUP; echo ready; \
                  while :; do sleep 0.05; done\"'";
    let mut running = Running::start(exec_by(&["nohup"], NOWHERE, &[], script));
    blocking(move || {
        assert_eq!(running.line(), "ready");
        running.signal(Signal::HUP);
        assert_eq!(running.line(), "caught");
        assert_eq!(running.code(), Some(7));
    })
    .await;
}

#[tokio::test]
async fn what_was_blocked_at_the_start_stays_blocked() {
    let said = blocking(|| {
        // In a thread of its own, because only this thread blocks the signal.
        let started = std::thread::spawn(|| {
            let mut blocked = SigSet::empty();
            blocked.add(nix::sys::signal::Signal::SIGUSR2);
            blocked.thread_set_mask().unwrap();
            Running::start(exec(NOWHERE, &[], "exec grep SigBlk /proc/self/status"))
        });
        let mut running = started.join().unwrap();
        let said = running.line();
        assert_eq!(running.code(), Some(0));
        said
    })
    .await;
    assert_eq!(said.rsplit('\t').next(), Some("0000000000000800"), "{said}");
}

#[tokio::test]
async fn a_signal_that_comes_while_the_registry_is_asked_ends_the_command() {
    // The server accepts no connection, so the command waits for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut running = Running::start(exec(&format!("http://{}", silent.local_addr().unwrap()), &[], "exec sleep 1000"));
    blocking(move || {
        silent.accept().unwrap();
        running.signal(Signal::TERM);
        assert_eq!(running.code(), Some(143));
    })
    .await;
}

#[tokio::test]
async fn an_interrupt_ends_the_wait_for_a_registry_that_is_down() {
    let folder = tempfile::TempDir::new().unwrap();
    let flags = ["--report-patience", "1000", "--unreported", folder.path().to_str().unwrap()];
    let mut running = Running::start(exec(NOWHERE, &flags, "exit 3"));
    blocking(move || {
        running.silence();
        // The first signal may arrive before the end of the command is known; then the command gets it.
        while running.child.try_wait().unwrap().is_none() {
            let _ignored = kill_process(running_pid(&running), Signal::INT);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(running.code(), Some(3), "{}", running.log());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the end is kept");
    })
    .await;
}

fn running_pid(running: &Running) -> Pid {
    Pid::from_raw(i32::try_from(running.child.id()).unwrap()).unwrap()
}
