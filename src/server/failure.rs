//! Why a connection ended.

/// Why a connection has ended early.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;
