//! Errors of a store.

use std::error::Error;

use domain::Revision;

/// A store that failed.
///
/// The message is for the operator; a client sees only [`StoreError::reason`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be used until the operator repairs it.
    #[error("{what}")]
    Unusable {
        /// The problem, and what to do about it.
        what: String,
        /// The underlying error.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The disk is full.
    #[error("the disk is full")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// Another process holds the write lock.
    #[error("another process has held the write lock for too long")]
    Busy(#[source] Box<dyn Error + Send + Sync>),
    /// Reading or writing failed.
    #[error("reading or writing the store failed")]
    Io(#[source] Box<dyn Error + Send + Sync>),
    /// The database does not answer, or does not accept writes.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// A file of the open store was moved, removed or replaced.
    #[error("{0}")]
    Displaced(String),
    /// The caller of a long read does not need it any longer.
    #[error("the read was stopped, because its caller no longer needs it")]
    Stopped,
    /// The operation fills an empty store, and this store is not empty.
    #[error("the store is not empty")]
    NotEmpty,
    /// The requested changes have been compacted.
    #[error("the changes after revision {after} have been compacted; the journal starts after {compact_revision}")]
    Compacted {
        /// The revision after which changes were requested.
        after: Revision,
        /// The compact revision: the store has every later change.
        compact_revision: Revision,
    },
}

impl StoreError {
    /// The reason of [`StoreError::Unreachable`].
    pub const UNREACHABLE: &'static str = "the database cannot be reached";

    /// The reason of [`StoreError::Displaced`].
    pub const DISPLACED: &'static str = "the store's file was moved, removed or replaced";

    /// An unusable store, with the underlying error.
    pub fn unusable(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError::Unusable { what: what.into(), source: Some(source.into()) }
    }

    /// An unusable store, without an underlying error.
    pub fn refused(what: impl Into<String>) -> StoreError {
        StoreError::Unusable { what: what.into(), source: None }
    }

    /// Whether the error may end without the operator.
    pub fn may_pass(&self) -> bool {
        !matches!(self, StoreError::Unusable { .. } | StoreError::NotEmpty)
    }

    /// The kind of failure, in words that reveal no details.
    pub fn reason(&self) -> &'static str {
        match self {
            StoreError::Unusable { .. } | StoreError::NotEmpty => "the store is not usable",
            StoreError::Full(_) => "the disk is full",
            StoreError::Busy(_) => "the store is locked by another process",
            StoreError::Io(_) => "the disk does not accept the write",
            StoreError::Unreachable(_) => StoreError::UNREACHABLE,
            StoreError::Displaced(_) => StoreError::DISPLACED,
            StoreError::Compacted { .. } => "the journal must be read again",
            StoreError::Stopped => "the read was stopped",
        }
    }

    /// The message with its causes, for a log line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
