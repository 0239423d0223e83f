//! The health of the writer.

use jiff::Timestamp;

use crate::store::StoreError;

/// Whether the writer can write changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterHealth {
    /// The last attempt succeeded, or there was none.
    Writable,
    /// The store has not been loaded yet.
    Starting {
        /// The reason, for people.
        reason: &'static str,
        /// Since when every attempt has failed.
        since: Timestamp,
    },
    /// The last attempt failed.
    Failing {
        /// The reason, for people.
        reason: &'static str,
        /// Since when every attempt has failed.
        since: Timestamp,
    },
}

impl WriterHealth {
    /// Whether the connection to the store fails. A successful read then ends the failure.
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
