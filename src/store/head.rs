//! The head of a store, and whether it belongs to the history that a process has loaded.

use jiff::Timestamp;

use super::StoreError;
use domain::{Revision, State, StoreId};

/// The head of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The identity of the store.
    pub store: String,
    /// The newest revision.
    pub revision: Revision,
    /// The time of the newest revision.
    pub at: Timestamp,
    /// The compact revision: the store has every later change.
    pub compact_revision: Revision,
}

impl Head {
    /// Refuses a head that a process with the state `known` cannot follow.
    ///
    /// # Errors
    ///
    /// If the store was replaced by another, or by an older copy of itself.
    pub fn check(&self, store: &StoreId, known: &State) -> Result<(), StoreError> {
        if self.store != store.as_str() {
            return Err(StoreError::refused("the store was replaced by another one; restart the service"));
        }
        if self.revision < known.revision() {
            return Err(StoreError::refused(format!(
                "the store's head went back from revision {} to {}: it was replaced by an older copy, or failed over \
                 to a server that was behind; check the store, then restart the service; it writes nothing until then",
                known.revision(),
                self.revision,
            )));
        }
        if self.revision == known.revision() { check_time(self.at, known) } else { Ok(()) }
    }

    /// Refuses changes that a process with the state `known` cannot replay, because earlier ones were compacted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`].
    pub fn require_kept(&self, known: Revision) -> Result<(), StoreError> {
        let compact_revision = self.compact_revision;
        if known < compact_revision { Err(StoreError::Compacted { after: known, compact_revision }) } else { Ok(()) }
    }
}

/// Refuses a history whose change at the revision of `known` has another time. Then the history forked, and grew again.
///
/// # Errors
///
/// If the times differ.
pub fn check_time(at: Timestamp, known: &State) -> Result<(), StoreError> {
    if known.revision() > Revision(0) && at != known.at() {
        return Err(StoreError::refused(format!(
            "the store's revision {} differs from the one that this process has loaded: the store was replaced by an \
             older copy, or failed over to a server that was behind, and was written since; restart the service",
            known.revision(),
        )));
    }
    Ok(())
}

/// The error for a store with an earlier schema.
pub(super) fn older(schema: i64, newest: i64) -> StoreError {
    StoreError::refused(format!(
        "was written by an earlier plugin-registry (schema {schema}; this one writes {newest}): use the version that \
         wrote it, or start this version on it once to migrate it",
    ))
}
