//! What can go wrong with a store.

use std::error::Error;

use domain::Revision;

/// A store that cannot do what was asked.
///
/// The message is for whoever runs the service; [`StoreError::reason`] is all that a client sees.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be used as it is; somebody has to see to it.
    #[error("{what}")]
    Unusable {
        /// What is wrong, and what to do about it.
        what: String,
        /// What the system said.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// There is no room left on the disk.
    #[error("the disk is full")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// Another process holds the write lock.
    #[error("another process has been writing for too long")]
    Busy(#[source] Box<dyn Error + Send + Sync>),
    /// Reading or writing failed.
    #[error("input or output failed")]
    Io(#[source] Box<dyn Error + Send + Sync>),
    /// The database does not answer, or does not take writes.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// A file of the store is no longer where it was opened: it was moved, removed or replaced.
    #[error("{0}")]
    Displaced(String),
    /// It holds something, and what was to be done fills an empty store.
    #[error("the store is not empty")]
    NotEmpty,
    /// Changes that are asked for, and no longer kept.
    #[error("the changes after revision {after} are no longer kept, only those after {compact_revision}")]
    Compacted {
        /// After which revision they were asked for.
        after: Revision,
        /// After which revision there are any.
        compact_revision: Revision,
    },
}

impl StoreError {
    /// The reason of [`StoreError::Unreachable`].
    pub const UNREACHABLE: &'static str = "the database cannot be reached";

    /// The reason of [`StoreError::Displaced`].
    pub const DISPLACED: &'static str = "the store's file was moved, removed or replaced";

    /// A store that somebody has to see to.
    pub fn unusable(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError::Unusable { what: what.into(), source: Some(source.into()) }
    }

    /// A store that somebody has to see to, where the system has said nothing of its own.
    pub fn refused(what: impl Into<String>) -> StoreError {
        StoreError::Unusable { what: what.into(), source: None }
    }

    /// Whether it may be over after a while by itself.
    pub fn may_pass(&self) -> bool {
        !matches!(self, StoreError::Unusable { .. } | StoreError::NotEmpty)
    }

    /// The kind of failure, in words that give nothing away.
    pub fn reason(&self) -> &'static str {
        match self {
            StoreError::Unusable { .. } | StoreError::NotEmpty => "the store is not usable",
            StoreError::Full(_) => "the disk is full",
            StoreError::Busy(_) => "the store is locked by another process",
            StoreError::Io(_) => "the disk does not take the write",
            StoreError::Unreachable(_) => StoreError::UNREACHABLE,
            StoreError::Displaced(_) => StoreError::DISPLACED,
            StoreError::Compacted { .. } => "the journal has to be read anew",
        }
    }

    /// The message with those of its causes, for a log line.
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
