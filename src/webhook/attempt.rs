//! What came of one request to a target.

use hyper::StatusCode;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The target has taken the message.
    Delivered {
        /// Its answer, a 2xx.
        status: u16,
    },
    /// The target wants no more messages, ever: 410.
    Gone,
    /// It may be tried again.
    Failed {
        /// The answer, when there was one.
        status: Option<u16>,
        /// Why it counts as failed, for people.
        reason: String,
    },
}

impl Attempt {
    /// The HTTP status, when the target has answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Attempt::Delivered { status } => Some(*status),
            Attempt::Gone => Some(StatusCode::GONE.as_u16()),
            Attempt::Failed { status, .. } => *status,
        }
    }

    /// Why it was not delivered.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Attempt::Delivered { .. } => None,
            Attempt::Gone => Some("the target has answered 410: it wants no more deliveries"),
            Attempt::Failed { reason, .. } => Some(reason),
        }
    }
}
