//! Why the journal does not tell what was asked.

use domain::Revision;

/// Why the past cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalReadError {
    /// It is no longer kept.
    #[error(
        "what happened after revision {revision} is no longer kept as a whole, only what happened after {compact_revision}"
    )]
    Compacted {
        /// The revision that was asked for.
        revision: Revision,
        /// The oldest that can be asked for.
        compact_revision: Revision,
    },
    /// The store cannot be read at the moment.
    #[error("the journal cannot be read at the moment")]
    Unreadable,
}

/// Refuses a revision after which not every change is kept.
///
/// # Errors
///
/// [`JournalReadError::Compacted`].
pub fn require_kept(revision: Revision, compact_revision: Revision) -> Result<(), JournalReadError> {
    if revision >= compact_revision { Ok(()) } else { Err(JournalReadError::Compacted { revision, compact_revision }) }
}
