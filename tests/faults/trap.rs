//! kill -9 at the very moment at which a client learns of something.
//!
//! To wake a task that then kills takes as long as a commit does: what a server told too early has become true by
//! then. So the client itself kills, before it does anything else.

use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use crate::observer::News;

#[derive(Default)]
pub(crate) struct Trap {
    set: Mutex<Option<Set>>,
}

struct Set {
    process: Pid,
    /// How many news come before it is dangerous.
    harmless: u64,
    bait: Bait,
}

/// What kills.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bait {
    /// The next news of any kind.
    Anything,
    /// The next change that somebody reads before it is acknowledged to anybody: what is read too early would not
    /// be found out by the many that are acknowledged in time.
    Read,
}

impl Trap {
    /// After `harmless` news, the client that takes the bait kills `process`, a child that was not waited for yet.
    pub(crate) fn set(&self, process: Pid, harmless: u64, bait: Bait) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = Some(Set { process, harmless, bait });
    }

    /// Takes the trap away: the process is gone, and its number may become another's.
    pub(crate) fn clear(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A client has learnt of something new.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub(crate) fn touch(&self, news: News) -> std::io::Result<()> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Set { process, harmless, bait }) = set.as_mut() else { return Ok(()) };
        match (*harmless, *bait, news) {
            (1.., _, _) => *harmless -= 1,
            (0, Bait::Read, News::Acknowledged(_)) => {}
            (0, _, _) => {
                let killed = kill_process(*process, Signal::KILL);
                *set = None;
                return Ok(killed?);
            }
        }
        Ok(())
    }
}
