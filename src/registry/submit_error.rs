//! Why a submitted command failed.

use std::time::Duration;

use domain::command::Refusal;

/// Why a submitted command has no outcome.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot be written. Nothing was published; the client may retry.
    #[error("the store cannot be written: {reason}")]
    StoreUnavailable {
        /// The kind of failure, in words that reveal no details.
        reason: &'static str,
    },
    /// The queue is full, and the command was not accepted.
    #[error("too many changes are waiting to be written; try again later")]
    Overloaded,
    /// The registry is shutting down, and accepts no more commands.
    #[error("the registry is shutting down")]
    Closed,
    /// A defect of this program.
    #[error("the writer failed")]
    WriterFailed,
}

impl SubmitError {
    /// How long the client should wait before a retry; `None` if a retry would not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SubmitError::Refused(_) | SubmitError::WriterFailed => None,
            SubmitError::Overloaded => Some(Duration::from_secs(1)),
            SubmitError::StoreUnavailable { .. } | SubmitError::Closed => Some(Duration::from_secs(5)),
        }
    }
}
