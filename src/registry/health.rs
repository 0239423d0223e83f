//! Whether the writer can write.

use jiff::Timestamp;

use crate::store::StoreError;

/// Whether changes can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterHealth {
    /// The newest attempt succeeded, or there was none.
    Writable,
    /// The store has not been read yet.
    Starting {
        /// Why, for people.
        reason: &'static str,
        /// Since when every attempt has failed.
        since: Timestamp,
    },
    /// The newest attempt failed.
    Failing {
        /// Why, for people.
        reason: &'static str,
        /// Since when every attempt has failed.
        since: Timestamp,
    },
}

impl WriterHealth {
    /// Whether it is the way to the store that fails: then a read shows that it is over.
    pub(super) fn is_unreachable(&self) -> bool {
        const WAY: [&str; 2] = [StoreError::UNREACHABLE, StoreError::DISPLACED];
        matches!(self, WriterHealth::Failing { reason, .. } if WAY.contains(reason))
    }

    /// Since when changes cannot be written.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            WriterHealth::Writable => None,
            WriterHealth::Starting { since, .. } | WriterHealth::Failing { since, .. } => Some(*since),
        }
    }
}
