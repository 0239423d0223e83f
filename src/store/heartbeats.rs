//! Exchange of heartbeats between processes on one store: renewed leases, reporting agents.
//!
//! Heartbeats are not part of the journal, and no commit of them waits for a disk. After a crash all leases and agents
//! get time for a new heartbeat. No process compares its clock with that of another: it counts what it has not heard before.

use jiff::SignedDuration;

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

/// A heartbeat. It has no time: it counts from the moment at which a process hears of it, by that process's clock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Heartbeat {
    /// The kind of subject.
    pub kind: HeartbeatKind,
    /// The name of the subject.
    pub name: String,
}

/// The heartbeats in a store, for one process. The methods may wait for a disk, but recent heartbeats may be lost in a
/// crash.
pub trait HeartbeatStore: Send + Sync + 'static {
    /// Shares heartbeats that this process received. The store keeps them until every process that is not paused has
    /// read them: see [`KEPT`].
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError>;

    /// Whether other processes may have shared heartbeats since the last call of [`HeartbeatStore::news`].
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn has_news(&self) -> Result<bool, StoreError>;

    /// The heartbeats that other processes have shared since the last call, in no particular order. The first call
    /// returns none: what was shared before says nothing about now.
    ///
    /// # Errors
    ///
    /// If the store cannot be read. Then the next call returns the rest.
    fn news(&self) -> Result<Vec<Heartbeat>, StoreError>;

    /// Deletes heartbeats that every process has read.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn forget(&self) -> Result<(), StoreError>;
}

/// The heartbeats of a store in memory, which has no other processes.
#[derive(Debug, Default)]
pub struct MemoryHeartbeats;

impl HeartbeatStore for MemoryHeartbeats {
    fn share(&self, _beats: &[Heartbeat]) -> Result<(), StoreError> {
        Ok(())
    }

    fn has_news(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn news(&self) -> Result<Vec<Heartbeat>, StoreError> {
        Ok(Vec::new())
    }

    fn forget(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
