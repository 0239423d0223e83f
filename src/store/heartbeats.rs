//! Where processes on one store tell each other who lives: which leases were renewed, which agents were heard of.
//!
//! This is no part of the journal, and nothing here is worth waiting for a disk: after a crash everybody is given
//! time to be heard of again. Of each name only the newest sign of life is kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::error::StoreError;
use domain::wire_names;

wire_names! {
    /// Whose sign of life it is.
    HeartbeatKind {
        /// A lease's: it was renewed.
        Lease = "lease",
        /// An agent's: it has reported.
        Agent = "agent",
    }
}

/// How long a sign of life is kept at least. Processes ask every second; one that has not for 20 s begins to listen anew, and
/// gives everybody time to be heard of.
pub const KEPT: SignedDuration = SignedDuration::from_mins(2);

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Of what.
    pub kind: HeartbeatKind,
    /// Its name.
    pub name: String,
    /// When it was heard.
    pub at: Timestamp,
}

/// The signs of life of a store. It may wait for a disk, and need not: what it was told may be lost.
pub trait HeartbeatStore: Send + Sync + 'static {
    /// Tells the others. Of each kind and name the newest stays for as long as anybody who has not stood still may come to ask
    /// for it: see [`KEPT`].
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError>;

    /// Whether others may have told anything since [`HeartbeatStore::shared`] has last been asked.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn has_news(&self) -> Result<bool, StoreError>;

    /// Those that are newer than `after`, in no particular order; those of this process among them.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn shared(&self, after: Timestamp) -> Result<Vec<Heartbeat>, StoreError>;

    /// Forgets those that are older than `before`, unless they were told together with newer ones.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn forget(&self, before: Timestamp) -> Result<(), StoreError>;
}

/// The signs of life of one process, in its memory.
#[derive(Debug, Default)]
pub struct MemoryHeartbeats(Mutex<BTreeMap<(HeartbeatKind, String), Timestamp>>);

impl MemoryHeartbeats {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<(HeartbeatKind, String), Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeartbeatStore for MemoryHeartbeats {
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError> {
        let mut kept = self.kept();
        for Heartbeat { kind, name, at } in beats {
            let newest = kept.entry((*kind, name.clone())).or_insert(*at);
            *newest = (*newest).max(*at);
        }
        Ok(())
    }

    fn has_news(&self) -> Result<bool, StoreError> {
        // There are no others.
        Ok(false)
    }

    fn shared(&self, after: Timestamp) -> Result<Vec<Heartbeat>, StoreError> {
        let kept = self.kept();
        let newer = kept.iter().filter(|(_, at)| **at > after);
        Ok(newer.map(|((kind, name), at)| Heartbeat { kind: *kind, name: name.clone(), at: *at }).collect())
    }

    fn forget(&self, before: Timestamp) -> Result<(), StoreError> {
        self.kept().retain(|_, at| *at >= before);
        Ok(())
    }
}
