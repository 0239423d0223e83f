//! Ending all descendants of this process, wherever they have gone.

use std::collections::HashSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait};
use tokio::time::Instant;

use super::descendants::{Descendant, Descendants};
use super::signals::send;

/// How often they are counted.
const PAUSE: Duration = Duration::from_millis(10);

/// How often processes are looked for that end by themselves when the command has: those that wait for the end of a pipe
/// from it, as the resource tracker of Python's multiprocessing does. That is 200 ms, and more on a busy machine, where
/// they need more.
const SETTLING: usize = 20;

/// How long those that were killed may take to be gone: some wait for a disk or a GPU that does not answer.
pub const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// What became of the descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many there were.
    pub found: usize,
    /// How many there still are.
    pub left: usize,
}

/// Ends what a command has left behind, after those have gone that end by themselves.
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

/// Asks every descendant to end (SIGTERM), and kills those that are still there after `grace`. `ended` is called for each child
/// that ends.
///
/// This process must be their subreaper: each that has lost its parent is then a child of it. What they
/// start meanwhile is ended, too.
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
                // One that is stopped would not receive it.
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
