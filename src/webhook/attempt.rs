//! The outcome of a request to a target.

use hyper::StatusCode;
use jiff::SignedDuration;

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The target accepted the message.
    Delivered {
        /// The status of the response, a 2xx.
        status: u16,
    },
    /// The target answered 410, which refuses all further messages.
    Gone,
    /// The attempt failed and may be retried.
    Failed {
        /// The status of the response, if the target answered.
        status: Option<u16>,
        /// The reason, for operators.
        reason: String,
        /// How long the target asked to wait.
        retry_after: Option<SignedDuration>,
    },
}

impl Attempt {
    /// The HTTP status, if the target answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Attempt::Delivered { status } => Some(*status),
            Attempt::Gone => Some(StatusCode::GONE.as_u16()),
            Attempt::Failed { status, .. } => *status,
        }
    }

    /// How long the target asked to wait.
    pub fn retry_after(&self) -> Option<SignedDuration> {
        match self {
            Attempt::Failed { retry_after, .. } => *retry_after,
            Attempt::Delivered { .. } | Attempt::Gone => None,
        }
    }

    /// Why the attempt failed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Attempt::Delivered { .. } => None,
            Attempt::Gone => Some("the target answered 410 and refuses further deliveries"),
            Attempt::Failed { reason, .. } => Some(reason),
        }
    }
}
