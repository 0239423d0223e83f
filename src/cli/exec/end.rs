//! Ending all descendants of this process, wherever they have gone.

use std::collections::HashSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::time::Instant;

use crate::liveness::process::ProcessProbe;
use crate::liveness::process_tree::Descendant;

/// How often it is looked who is still there.
const PAUSE: Duration = Duration::from_millis(10);

/// How long those that were killed may take to be gone: some wait for a disk or a GPU that does not answer.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// What became of the descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many there were.
    pub found: usize,
    /// How many there still are.
    pub left: usize,
}

/// Asks every descendant to end (SIGTERM), and kills those that are still there after `grace`.
///
/// This process must be their subreaper: whoever has lost its parent is then its child. What they
/// start meanwhile is ended, too.
pub fn end_descendants(grace: Duration) -> Ended {
    let Ok(mut probe) = ProcessProbe::new() else { return Ended::default() };
    let begun = Instant::now();
    let (mut asked, mut killed) = (HashSet::new(), HashSet::new());
    loop {
        reap();
        let left = probe.look_at_all().map(|table| table.descendants(std::process::id())).unwrap_or_default();
        let waited = begun.elapsed();
        if left.is_empty() || waited > grace + LAST_PATIENCE {
            return Ended { found: asked.union(&killed).count(), left: left.len() };
        }
        for relative in left {
            if waited > grace {
                if killed.insert(relative) {
                    send(relative, Signal::KILL);
                }
            } else if asked.insert(relative) {
                send(relative, Signal::TERM);
                // One that is stopped would not hear of it.
                send(relative, Signal::CONT);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Takes note of all children that have ended.
fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

fn send(relative: Descendant, signal: Signal) {
    if let Some(pid) = i32::try_from(relative.pid).ok().and_then(Pid::from_raw) {
        // One that has ended meanwhile is what we want.
        let _sent = kill_process(pid, signal);
    }
}
