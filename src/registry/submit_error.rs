//! Why a submitted command came to nothing.

use std::time::Duration;

use domain::command::Refusal;

/// Why a submitted command has no outcome.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not be written. Nothing was published; the command may be repeated.
    #[error("the store cannot be written: {reason}")]
    StoreUnavailable {
        /// The kind of failure, in words that give nothing away.
        reason: &'static str,
    },
    /// Too many commands wait already; this one was not taken.
    #[error("too many changes are waiting to be written")]
    Overloaded,
    /// The registry is closing, and takes no more commands.
    #[error("the registry is shutting down")]
    Closed,
    /// A fault of this program.
    #[error("the writer failed")]
    WriterFailed,
}

impl SubmitError {
    /// How long the one who asked should wait before asking again, where that can help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SubmitError::Refused(_) | SubmitError::WriterFailed => None,
            SubmitError::Overloaded => Some(Duration::from_secs(1)),
            SubmitError::StoreUnavailable { .. } | SubmitError::Closed => Some(Duration::from_secs(5)),
        }
    }
}
