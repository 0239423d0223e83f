//! Why the journal does not tell what was asked.

use crate::store::History;
use domain::Revision;

/// Why the past cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// It is no longer kept.
    #[error("what happened after revision {revision} is no longer kept as a whole, only what happened after {horizon}")]
    Forgotten {
        /// The revision that was asked for.
        revision: Revision,
        /// The oldest that can be asked for.
        horizon: Revision,
    },
    /// The store cannot be read at the moment.
    #[error("the journal cannot be read at the moment")]
    Unreadable,
}

/// Refuses a revision after which not every change is kept.
///
/// # Errors
///
/// [`PastError::Forgotten`].
pub fn require_kept(revision: Revision, horizon: Revision) -> Result<(), PastError> {
    if revision >= horizon { Ok(()) } else { Err(PastError::Forgotten { revision, horizon }) }
}
