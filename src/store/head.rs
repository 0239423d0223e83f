//! The head of a store, and whether it is that of the history that a process knows.

use jiff::Timestamp;

use super::StoreError;
use domain::{Revision, State, StoreId};

/// The head, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whose head it is.
    pub store: String,
    /// The newest revision.
    pub revision: Revision,
    /// When it was made.
    pub at: Timestamp,
    /// After which revision every change is kept.
    pub compact_revision: Revision,
}

impl Head {
    /// Refuses a head that a process which stands at `known` cannot follow.
    ///
    /// # Errors
    ///
    /// When the store was replaced by another, or by an older copy of itself.
    pub fn check(&self, store: &StoreId, known: &State) -> Result<(), StoreError> {
        if self.store != store.as_str() {
            return Err(StoreError::refused("the store was replaced by another one; restart the service"));
        }
        if self.revision < known.revision() {
            return Err(StoreError::refused(format!(
                "the store's head went back from revision {} to {}: it was replaced by an older copy, or failed over \
                 to a server that was behind; nothing is written to it until the service is restarted",
                known.revision(),
                self.revision,
            )));
        }
        if self.revision == known.revision() { check_time(self.at, known) } else { Ok(()) }
    }

    /// Refuses changes that a process which stands at `known` cannot replay, because some before them are no longer kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`].
    pub fn require_kept(&self, known: Revision) -> Result<(), StoreError> {
        let compact_revision = self.compact_revision;
        if known < compact_revision { Err(StoreError::Compacted { after: known, compact_revision }) } else { Ok(()) }
    }
}

/// Refuses a history in which the change that a process knows as its newest was made at another time: it has forked, and
/// grown again.
///
/// # Errors
///
/// When it has.
pub fn check_time(at: Timestamp, known: &State) -> Result<(), StoreError> {
    if known.revision() > Revision(0) && at != known.at() {
        return Err(StoreError::refused(format!(
            "the store's revision {} is not the one that this process knows: the store was replaced by an older copy, \
             or failed over to a server that was behind, and was written since; restart the service",
            known.revision(),
        )));
    }
    Ok(())
}

/// Why a store of an earlier schema is not read as it is.
pub(super) fn older(schema: i64, newest: i64) -> StoreError {
    StoreError::refused(format!(
        "was written by an earlier plugin-registry (schema {schema}; this one writes {newest}): use the version that \
         wrote it, or start this one on it first",
    ))
}
