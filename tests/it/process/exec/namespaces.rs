//! Pid namespaces, with the programs that create them.

use rstest::rstest;
use rustix::process::Signal;

use super::{NOWHERE, Running, exec_by, needed};
use crate::harness::blocking;

/// A process in its own session that holds standard output open until its end.
const SCRIPT: &str = "setsid sleep 1000 & echo $$; exit 3";

#[rstest]
#[case::proc_of_the_outer_namespace(&["unshare", "--map-root-user", "--fork", "--pid"])]
#[case::proc_of_its_own(&["unshare", "--map-root-user", "--fork", "--pid", "--mount-proc"])]
#[case::bubblewrap(&["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc"])]
#[case::bubblewrap_in_a_session_of_its_own(&["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--new-session"])]
#[case::bubblewrap_as_the_first_process(&["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--as-pid-1"])]
#[case::proc_of_the_outer_namespace_in_bubblewrap(&["bwrap", "--dev-bind", "/", "/", "--unshare-pid"])]
#[tokio::test]
async fn a_command_runs_in_every_pid_namespace_and_leaves_nothing_behind(#[case] runner: &[&str]) {
    let mut running = Running::start(exec_by(runner, NOWHERE, &["--grace", "0"], SCRIPT));
    blocking(move || {
        running.number();
        running.silence();
        assert_eq!(running.code(), Some(3), "{}", running.log());
    })
    .await;
}

#[tokio::test]
async fn a_command_runs_where_a_namespace_is_entered() {
    let namespace = ["--map-root-user", "--fork", "--pid", "--mount-proc", "sh", "-c", "echo $$; exec sleep 1000"];
    let mut unshare = std::process::Command::new(needed("unshare"));
    unshare.args(namespace).arg("--kill-child").stdin(std::process::Stdio::null());
    let mut unshare = std::process::Command::new(needed("unshare"));
    unshare.args(["--kill-child"]).args(namespace);
    let mut inside = Running::start(unshare);
    blocking(move || {
        inside.line();
        let children = format!("/proc/{0}/task/{0}/children", inside.child.id());
        let first = std::fs::read_to_string(children).unwrap().trim().to_owned();
        let runner = ["nsenter", "--target", &first, "--user", "--pid", "--mount"];
        let mut running = Running::start(exec_by(&runner, NOWHERE, &["--grace", "0"], SCRIPT));
        running.number();
        running.silence();
        assert_eq!(running.code(), Some(3), "{}", running.log());
        inside.signal(Signal::KILL);
    })
    .await;
}

#[tokio::test]
async fn a_command_runs_without_proc_and_exec_says_what_it_cannot_see() {
    let runner = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/proc", "--unshare-pid"];
    let mut running = Running::start(exec_by(&runner, NOWHERE, &[], "echo runs; exit 3"));
    blocking(move || {
        assert_eq!(running.line(), "runs");
        assert_eq!(running.code(), Some(3), "{}", running.log());
        assert!(running.log().contains("there is no /proc"), "{}", running.log());
    })
    .await;
}
