//! Ends all descendants of this process, in any session or process group.

use std::collections::HashSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait};
use tokio::time::Instant;

use super::descendants::{Descendant, Descendants};
use super::signals::send;

/// How often to count the descendants.
const PAUSE: Duration = Duration::from_millis(10);

/// How often to look for processes that end by themselves after the command: they wait for the end of a pipe from it,
/// as the resource tracker of Python's multiprocessing does. In total this takes 200 ms, and more on a busy machine,
/// where these processes need more.
const SETTLING: usize = 20;

/// How long killed processes may take to disappear: some wait for a disk or a GPU that does not respond.
pub const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// The result of ending the descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// The number of descendants.
    pub found: usize,
    /// The number of descendants that remain.
    pub left: usize,
}

/// Ends the processes that a command left behind, after those that end by themselves.
pub fn end_left_behind(grace: Duration) -> Ended {
    let mut descendants = Descendants::open();
    for _ in 0..SETTLING {
        reap(&mut |_, _| {});
        if descendants.of_this_process().is_empty() {
            return Ended::default();
        }
        std::thread::sleep(PAUSE);
    }
    end_descendants(grace, &mut |_, _| {})
}

/// Sends SIGTERM to every descendant, and kills those that remain after `grace`. Calls `ended` for each child that
/// ends.
///
/// This process must be their subreaper, so that each orphan becomes its child. This also ends the processes that they
/// start meanwhile.
pub fn end_descendants(grace: Duration, ended: &mut dyn FnMut(Pid, WaitStatus)) -> Ended {
    let mut descendants = Descendants::open();
    let begun = Instant::now();
    let (mut asked, mut killed) = (HashSet::new(), HashSet::new());
    loop {
        reap(ended);
        let left = descendants.of_this_process();
        let waited = begun.elapsed();
        if left.is_empty() || waited > grace + LAST_PATIENCE {
            return Ended { found: asked.union(&killed).count(), left: left.len() };
        }
        for one in left {
            if waited > grace {
                if killed.insert(one) {
                    signal(one, Signal::KILL);
                }
            } else if asked.insert(one) {
                signal(one, Signal::TERM);
                // A stopped process would not receive SIGTERM.
                signal(one, Signal::CONT);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Collects all children that have ended.
fn reap(ended: &mut dyn FnMut(Pid, WaitStatus)) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        ended(pid, status);
    }
}

fn signal(one: Descendant, signal: Signal) {
    if let Some(pid) = i32::try_from(one.pid).ok().and_then(Pid::from_raw) {
        send(pid, signal.as_raw());
    }
}
