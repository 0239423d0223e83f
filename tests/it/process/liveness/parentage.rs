//! A process whose parent has ended, and processes that look like one. Each test is the first process of a pid namespace
//! of its own: otherwise a program that runs the tests might adopt what they leave.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::processes::{Script, kill};
use super::world::{is_inside, run_inside};
use super::{at, held, only, prober};
use domain::record::ObservedState::{Alive, Gone};
use domain::record::ReportedObservation;
use plugin_registry::liveness::Prober;
use plugin_registry::liveness::prober::HeldOnHost;

/// Runs a test of this file again in a pid namespace of its own; returns true if this is the second run.
async fn is_in_a_namespace(test: &str) -> bool {
    if !is_inside() {
        let name = format!("process::liveness::parentage::{test}");
        run_inside(&["unshare", "--pid", "--fork", "--mount-proc"], &name).await;
    }
    is_inside()
}

/// A worker, first seen by a prober.
struct Worker {
    prober: Prober,
    held: [HeldOnHost; 1],
    looks: i64,
    parent: Value,
}

impl Worker {
    /// Looks at the process `pid` for the first time.
    async fn seen(pid: u32) -> Worker {
        let (mut prober, held) = (prober(), [held(pid)]);
        let first = only(prober.sweep(&held, at(0)).await);
        assert_eq!((first.state, &first.abandoned), (Alive, &None), "{first:?}");
        let parent = first.parent.map_or(Value::Null, |parent| parent.to_value());
        Worker { prober, held, looks: 0, parent }
    }

    /// Looks again, long enough after the last look that everything is reported.
    async fn look(&mut self) -> ReportedObservation {
        self.looks += 1;
        only(self.prober.sweep(&self.held, at(self.looks * 100)).await)
    }

    /// Why no process looks after it.
    async fn abandoned(&mut self) -> Option<String> {
        let seen = self.look().await;
        assert_eq!(seen.state, Alive, "{seen:?}");
        seen.abandoned.map(Into::into)
    }
}

fn number(script: &mut Script) -> u32 {
    script.line().parse().unwrap()
}

#[tokio::test]
async fn a_worker_whose_application_died_had_no_finding_ever() {
    if !is_in_a_namespace("a_worker_whose_application_died_had_no_finding_ever").await {
        return;
    }
    let mut app = Script::start("sleep 1000 & echo $!; read line");
    let pid = number(&mut app);
    let mut worker = Worker::seen(pid).await;
    assert_eq!((&worker.parent["pid"], &worker.parent["command"]), (&app.pid().into(), &"sh".into()));
    assert_eq!(worker.abandoned().await, None, "its application runs");
    kill(app.pid());
    app.child.wait().unwrap();
    let evidence = worker.abandoned().await.unwrap();
    let expected = format!("its parent {} `sh` has ended; it was handed to process 1 `", app.pid());
    assert!(evidence.starts_with(&expected), "{evidence}");
    // A prober that starts later knows it from the parent that the registry kept.
    let parent = domain::plugin::FreeJson::from(&worker.parent);
    let kept = [HeldOnHost { parent: Some(parent), ..worker.held[0].clone() }];
    let later = only(prober().sweep(&kept, at(0)).await);
    assert_eq!((later.abandoned.as_deref(), later.parent), (Some(&*evidence), None));
    end(pid);
    let gone = worker.look().await;
    assert_eq!((gone.state, gone.abandoned), (Gone, None), "it has ended, too");
}

#[tokio::test]
async fn a_daemon_that_forked_twice_before_the_first_look_is_not_abandoned() {
    if !is_in_a_namespace("a_daemon_that_forked_twice_before_the_first_look_is_not_abandoned").await {
        return;
    }
    let mut app = Script::start("(setsid sleep 1000 & echo $!); echo done; read line");
    let pid = number(&mut app);
    assert_eq!(app.line(), "done");
    let mut worker = Worker::seen(pid).await;
    assert_eq!((&worker.parent["pid"], &worker.parent["is_adopter"]), (&1.into(), &true.into()), "a child of init");
    kill(app.pid());
    app.child.wait().unwrap();
    assert_eq!(worker.abandoned().await, None);
    kill(pid);
}

#[tokio::test]
async fn the_end_of_a_user_manager_does_not_count() {
    if !is_in_a_namespace("the_end_of_a_user_manager_does_not_count").await {
        return;
    }
    let folder = TempDir::new().unwrap();
    let manager = folder.path().join("systemd");
    std::fs::copy("/bin/sh", &manager).unwrap();
    let mut manager = Script::start(&format!("exec {} -c 'sleep 1000 & echo $!; read line'", manager.display()));
    let pid = number(&mut manager);
    let mut worker = Worker::seen(pid).await;
    assert_eq!((&worker.parent["pid"], &worker.parent["is_adopter"]), (&manager.pid().into(), &true.into()));
    kill(manager.pid());
    manager.child.wait().unwrap();
    assert_eq!(worker.abandoned().await, None);
    kill(pid);
}

#[tokio::test]
async fn the_end_of_a_containers_init_is_the_end_of_its_processes() {
    if !is_in_a_namespace("the_end_of_a_containers_init_is_the_end_of_its_processes").await {
        return;
    }
    // The kernel hands what the container leaves to its first process, and kills all when that one ends.
    let mut container = Script::start("exec unshare --pid --fork sh -c 'sleep 1000 & echo ready; read line; wait'");
    assert_eq!(container.line(), "ready");
    let init = child_of(container.pid());
    let mut worker = Worker::seen(child_of(init)).await;
    assert_eq!((&worker.parent["pid"], &worker.parent["is_adopter"]), (&init.into(), &true.into()));
    assert_eq!(worker.abandoned().await, None);
    kill(init);
    container.child.wait().unwrap();
    let gone = worker.look().await;
    assert_eq!((gone.state, gone.abandoned), (Gone, None));
}

#[tokio::test]
async fn an_application_that_is_its_own_subreaper_abandons_nothing_while_it_runs() {
    if !is_in_a_namespace("an_application_that_is_its_own_subreaper_abandons_nothing_while_it_runs").await {
        return;
    }
    let program = "import ctypes, subprocess\n\
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n\
        middle = subprocess.Popen(['sh', '-c', 'sleep 1000 & echo \\$!; exec sleep 1000'])\n\
        print(middle.pid, flush=True)\n\
        input()\n\
        middle.kill()\n\
        middle.wait()\n\
        print('ended', flush=True)\n\
        input()\n";
    let mut app = Script::start(&format!("exec python3 -c \"{program}\""));
    let (one, other) = (number(&mut app), number(&mut app));
    // The shell and Python write at the same time.
    let pid = if parent_of(one) == app.pid() { other } else { one };
    let mut worker = Worker::seen(pid).await;
    app.say("");
    assert_eq!(app.line(), "ended");
    assert_eq!(parent_of(pid), app.pid());
    assert_eq!(worker.abandoned().await, None, "its application looks after it");
    kill(app.pid());
    app.child.wait().unwrap();
    assert!(worker.abandoned().await.unwrap().contains("it was handed to process 1"));
    kill(pid);
}

#[tokio::test]
async fn a_parent_that_becomes_another_program_has_not_ended() {
    if !is_in_a_namespace("a_parent_that_becomes_another_program_has_not_ended").await {
        return;
    }
    let mut app = Script::start("sleep 1000 & echo $!; read line; exec sh -c 'echo other; read line'");
    let pid = number(&mut app);
    let mut worker = Worker::seen(pid).await;
    app.say("");
    assert_eq!(app.line(), "other");
    assert_eq!(worker.abandoned().await, None);
    kill(pid);
}

#[tokio::test]
async fn a_parent_in_another_pid_namespace_is_not_judged() {
    if !is_in_a_namespace("a_parent_in_another_pid_namespace_is_not_judged").await {
        return;
    }
    // `unshare`, outside, is the parent of this process.
    let mut worker = Worker::seen(1).await;
    assert_eq!((parent_of(1), &worker.parent), (0, &Value::Null));
    assert_eq!(worker.abandoned().await, None);
}

/// A process that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_child_of_the_application_itself_keeps_its_parent() {
    let child = Command::new("sleep").arg("1000").stdin(Stdio::null()).process_group(0).spawn().unwrap();
    let child = Ending(child);
    let mut worker = Worker::seen(child.0.id()).await;
    assert_eq!(worker.parent["pid"], std::process::id());
    assert_eq!(worker.abandoned().await, None);
}

/// Kills a process that was handed to this one, and waits for its end.
fn end(pid: u32) {
    kill(pid);
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
}

fn parent_of(pid: u32) -> u32 {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    line.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn child_of(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}
