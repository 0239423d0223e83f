//! The error of a connection.

/// The error that ended a connection early.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;
