//! Processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::world::{is_inside, run_inside};
use super::{at, held, only, prober};
use domain::record::ObservedState::{Alive, Gone, Reused, Unknown};
use domain::record::ReportedObservation;
use plugin_registry::liveness::Prober;
use plugin_registry::liveness::identity::ProcessIdentity;
use plugin_registry::liveness::prober::HeldOnHost;

/// A shell script that reports when it is ready, and ends when its standard input does.
pub(super) struct Script {
    pub(super) child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Script {
    pub(super) fn start(script: &str) -> Script {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Script { child, said }
    }

    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Ends a line of its standard input.
    pub(super) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The test may have ended the process itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(super) fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

fn identity(sighting: &ReportedObservation) -> ProcessIdentity {
    ProcessIdentity::from_json(sighting.identity.as_ref().expect("an identity")).expect("of a process")
}

fn detail(sighting: &ReportedObservation) -> &str {
    sighting.detail.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_process_is_alive_and_then_a_zombie_and_then_gone() {
    let mut script = Script::start("echo ready; read line");
    script.line();
    let (mut prober, held) = (prober(), [held(script.pid())]);
    let alive = only(prober.sweep(&held, at(0)).await);
    assert_eq!((alive.state, &*alive.detail.clone().unwrap_or_default()), (Alive, ""));
    assert_eq!(identity(&alive).pid, script.pid());
    // Reported twice, because an orphan takes two observations.
    assert_eq!(only(prober.sweep(&held, at(1)).await).state, Alive);
    assert_eq!(prober.sweep(&held, at(2)).await, [], "nothing has changed");
    // The test, its parent, does not wait for the killed process yet.
    kill(script.pid());
    drop(script.child.stdin.take());
    let ended = script.line();
    assert_eq!(ended, "", "it has closed its standard output");
    let zombie = only(seen_other_than_alive(&mut prober, &held).await);
    assert_eq!(zombie.state, Gone);
    assert!(detail(&zombie).contains("zombie") && detail(&zombie).contains(&std::process::id().to_string()));
    script.child.wait().unwrap();
    let gone = only(prober.sweep(&held, at(3)).await);
    assert_eq!((gone.state, detail(&gone)), (Gone, "there is no such process"));
    // Reported twice, because a finding takes two observations; then only refreshed.
    assert_eq!(prober.sweep(&held, at(4)).await, []);
    assert_eq!(only(prober.sweep(&held, at(64)).await).state, Gone);
}

/// A killed process closes its files a moment before it is a zombie: sweeps until it is one.
async fn seen_other_than_alive(prober: &mut Prober, held: &[HeldOnHost]) -> Vec<ReportedObservation> {
    loop {
        let seen = prober.sweep(held, at(2)).await;
        if !seen.is_empty() {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn descendants_are_reported_even_after_the_end_of_the_process() {
    // A child, and a grandchild that has left for a session of its own.
    let mut script =
        Script::start("sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 1000\" & echo $$; wait' & read line; exit 0");
    let mut family: Vec<u32> = vec![script.line().parse().unwrap(), script.line().parse().unwrap()];
    family.sort_unstable();
    let (mut prober, held) = (prober(), [held(script.pid())]);
    let alive = only(prober.sweep(&held, at(0)).await);
    let mut named: Vec<u32> =
        detail(&alive).rsplit(": ").next().unwrap().split(", ").map(|pid| pid.parse().unwrap()).collect();
    // `sleep` and its parent may still be two processes.
    named.retain(|pid| family.contains(pid));
    assert_eq!((alive.state, named), (Alive, family.clone()), "{alive:?}");
    script.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    script.child.wait().unwrap();
    let gone = only(prober.sweep(&held, at(1)).await);
    assert_eq!(gone.state, Gone);
    for pid in &family {
        assert!(detail(&gone).contains("still run") && detail(&gone).contains(&pid.to_string()), "{gone:?}");
        kill(*pid);
    }
}

#[tokio::test]
async fn a_stopped_process_is_alive() {
    let mut script = Script::start("echo ready; read line");
    script.line();
    let id = Pid::from_raw(i32::try_from(script.pid()).unwrap()).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    let options = rustix::process::WaitIdOptions::STOPPED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(id), options).unwrap();
    let seen = only(prober().sweep(&[held(script.pid())], at(0)).await);
    assert_eq!((seen.state, detail(&seen)), (Alive, "stopped"));
}

#[tokio::test]
async fn a_process_whose_first_thread_has_ended_is_alive() {
    let program = "import ctypes, threading\n\
        threading.Thread(target=lambda: (print('ready', flush=True), input())).start()\n\
        ctypes.CDLL(None).pthread_exit(None)\n";
    let mut script = Script::start(&format!("exec python3 -c \"{program}\""));
    script.line();
    let (mut prober, held) = (prober(), [held(script.pid())]);
    loop {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", script.pid())).unwrap();
        if state.contains(") Z ") {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(only(prober.sweep(&held, at(0)).await).state, Alive);
}

#[tokio::test]
async fn a_process_id_of_another_process_is_reused() {
    if !is_inside() {
        let name = "process::liveness::processes::a_process_id_of_another_process_is_reused";
        run_inside(&["unshare", "--pid", "--fork", "--mount-proc"], name).await;
        return;
    }
    let mut first = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = first.id();
    let (mut prober, held) = (prober(), [held(pid)]);
    let alive = only(prober.sweep(&held, at(0)).await);
    let known = identity(&alive);
    assert_eq!((alive.state, known.pid), (Alive, pid));
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = with_the_number(pid, known.start_ticks);
    let reused = only(prober.sweep(&held, at(1)).await);
    assert_eq!((reused.state, reused.identity.clone()), (Reused, None), "{reused:?}");
    // The same for a prober that started later and got the identity from the registry.
    let told = [HeldOnHost { identity: alive.identity.clone(), ..held[0].clone() }];
    assert_eq!(only(super::prober().sweep(&told, at(1)).await).state, Reused);
    second.kill().unwrap();
    second.wait().unwrap();
}

/// A process with this number and another start tick than `ticks`.
fn with_the_number(pid: u32, ticks: u64) -> Child {
    for _ in 0..1_000 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let started: u64 = stat.rsplit(')').next().unwrap().split(' ').nth(20).unwrap().parse().unwrap();
        if child.id() == pid && started != ticks {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("no process has got the number {pid}");
}

#[tokio::test]
async fn a_process_hidden_by_proc_is_unknown_and_never_gone() {
    if !is_inside() {
        let name = "process::liveness::processes::a_process_hidden_by_proc_is_unknown_and_never_gone";
        let script = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 \
            --clear-groups \"$@\"";
        run_inside(&["unshare", "--mount", "sh", "-c", script, "sh"], name).await;
        return;
    }
    assert!(!std::path::Path::new("/proc/1").exists(), "process 1 is hidden here");
    let seen = only(prober().sweep(&[held(1)], at(0)).await);
    assert_eq!(seen.state, Unknown, "{seen:?}");
    assert!(detail(&seen).contains("hidepid"), "{seen:?}");
    let seen = only(prober().sweep(&[held(4_194_305)], at(0)).await);
    assert_eq!(seen.state, Gone, "no process has this number");
}

#[tokio::test]
async fn a_container_cannot_be_judged_without_an_engine() {
    let mut held = held(1);
    held.key.kind = domain::record::ResourceKind::Container;
    held.key.id = "0123456789ab".into();
    let seen = only(prober().sweep(&[held], at(0)).await);
    assert_eq!(seen.state, Unknown);
    assert!(detail(&seen).contains("/nonexistent/docker.sock"), "{seen:?}");
}

/// The test of reuse can fail: with a prober that ignores start ticks, it does.
#[cfg(feature = "planted-bugs")]
#[tokio::test]
async fn the_test_of_reuse_detects_a_probe_that_ignores_start_ticks() {
    let name = "process::liveness::processes::a_process_id_of_another_process_is_reused";
    let launcher = ["env", "PLUGIN_REGISTRY_PLANT=ignore-start-ticks", "unshare", "--pid", "--fork", "--mount-proc"];
    let (passed, said) = super::world::try_inside(&launcher, name).await;
    // The prober takes the process for the first one.
    assert!(!passed && said.contains("1 failed") && said.contains("left: (Alive,"), "{said}");
}
