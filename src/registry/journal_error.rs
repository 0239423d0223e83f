//! Errors of reading the journal.

use super::fair_pool::WorkError;
use domain::Revision;

/// Why the journal cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalReadError {
    /// The journal was compacted after the requested revision.
    #[error("the changes after revision {revision} have been compacted; the journal starts after {compact_revision}")]
    Compacted {
        /// The requested revision.
        revision: Revision,
        /// The oldest revision to read from.
        compact_revision: Revision,
    },
    /// The store cannot be read.
    #[error("the journal cannot be read; try again later")]
    Unreadable,
    /// The read had no turn, or failed.
    #[error(transparent)]
    Work(#[from] WorkError),
}

/// Refuses a revision before the compact revision.
///
/// # Errors
///
/// [`JournalReadError::Compacted`].
pub fn require_kept(revision: Revision, compact_revision: Revision) -> Result<(), JournalReadError> {
    if revision >= compact_revision { Ok(()) } else { Err(JournalReadError::Compacted { revision, compact_revision }) }
}
