//! Exchange of heartbeats between processes on one store: renewed leases, reporting agents.
//!
//! Heartbeats are not part of the journal, and no commit of them waits for a disk. After a crash all leases and agents
//! get time for a new heartbeat. The store keeps only the newest heartbeat of each name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::error::StoreError;
use domain::wire_names;

wire_names! {
    /// The subject of a heartbeat.
    HeartbeatKind {
        /// A lease: its holder renewed it.
        Lease = "lease",
        /// An agent: it reported.
        Agent = "agent",
    }
}

/// The minimum time that a heartbeat is kept. Processes read every second. A process that has not read for 20 s counts
/// as paused, and gives all leases and agents time.
pub const KEPT: SignedDuration = SignedDuration::from_mins(2);

/// A heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The kind of subject.
    pub kind: HeartbeatKind,
    /// The name of the subject.
    pub name: String,
    /// When it was heard.
    pub at: Timestamp,
}

/// The heartbeats in a store. The methods may wait for a disk, but recent heartbeats may be lost in a crash.
pub trait HeartbeatStore: Send + Sync + 'static {
    /// Shares heartbeats. The store keeps the newest of each kind and name until every process that is not paused has
    /// read it: see [`KEPT`].
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError>;

    /// Whether other processes may have shared heartbeats since the last call of [`HeartbeatStore::shared`].
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn has_news(&self) -> Result<bool, StoreError>;

    /// The heartbeats newer than `after`, in no particular order, including those of this process.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn shared(&self, after: Timestamp) -> Result<Vec<Heartbeat>, StoreError>;

    /// Deletes the heartbeats older than `before`, unless they were shared together with newer ones.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn forget(&self, before: Timestamp) -> Result<(), StoreError>;
}

/// The heartbeats of one process, in memory.
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
        // A store in memory has no other processes.
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
