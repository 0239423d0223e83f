//! A journal that nothing survives: for tests, trials, and as the yardstick of the other stores.

use std::collections::VecDeque;

use super::{Batch, Journal, StoreError};
use crate::registry::{Change, Revision, Snapshot, State, StoreId};

/// How many changes are kept; older ones are forgotten.
const KEPT_CHANGES: usize = 100_000;

/// The journal of one process, in its memory.
#[derive(Debug)]
pub struct MemoryJournal {
    store: StoreId,
    state: State,
    changes: VecDeque<Change>,
}

impl MemoryJournal {
    /// An empty journal with a new identity.
    pub fn new() -> MemoryJournal {
        MemoryJournal { store: StoreId::generate(), state: State::default(), changes: VecDeque::new() }
    }
}

impl Default for MemoryJournal {
    fn default() -> MemoryJournal {
        MemoryJournal::new()
    }
}

impl Journal for MemoryJournal {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot { store: self.store.clone(), state: self.state.clone() })
    }

    fn begin(&mut self, known: Revision) -> Result<Vec<Change>, StoreError> {
        self.foreign_changes(known)
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        self.changes.extend(batch.changes.iter().cloned());
        let surplus = self.changes.len().saturating_sub(KEPT_CHANGES);
        self.changes.drain(..surplus);
        self.state = batch.state.clone();
        Ok(())
    }

    fn roll_back(&mut self) {}

    fn foreign_changes(&mut self, known: Revision) -> Result<Vec<Change>, StoreError> {
        self.read(known, usize::MAX)
    }

    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        // Revisions have no gap, so the place of a change follows from its revision.
        let Some(oldest) = self.changes.front() else { return Ok(Vec::new()) };
        let skipped = (after.0 + 1).saturating_sub(oldest.revision.0);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Ok(self.changes.iter().skip(skipped).take(limit).cloned().collect())
    }

    fn close(&mut self) {}
}
