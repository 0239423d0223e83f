//! A whole registry as a file, to be moved from one store to another.
//!
//! A store is told part by part ([`Archived::dump`]), and filled in the same way ([`Archived::restore`]). In between, the
//! parts are lines of JSON, or are compared with each other.
//!
//! | file | idea |
//! |---|---|
//! | [`line`](mod@line) | what a line says; pure |
//! | [`writer`], [`reader`] | parts to lines, and lines to parts, with a digest of all of them |
//! | [`standing`] | the changes that stand for a history which was left out |
//! | [`replay`] | whether the changes lead to the documents |
//! | [`digest`] | equal for equal registries, whatever keeps them |

pub mod digest;
pub mod line;
pub mod reader;
pub mod replay;
pub mod standing;
pub mod writer;

use super::row::ChangeRow;
use super::{Journal, StoreError};
use crate::registry::{Revision, Snapshot, StoreId};

/// A part of a store.
#[derive(Debug, Clone)]
pub enum Part {
    /// What stands; always the first part.
    Head {
        /// Everything as of the head.
        snapshot: Snapshot,
        /// After which revision every change is kept.
        horizon: Revision,
    },
    /// A change that is kept, oldest first. Those up to the horizon are there for what stood then.
    Change(ChangeRow),
}

/// A store that can be told, and filled, as a whole. Webhooks are no part of it, which hold secrets and belong to a
/// place, and neither are answers to requests that may be sent again, nor signs of life.
pub trait Archived: Journal {
    /// Tells everything as of one moment, also while others write.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or `visit` fails.
    fn dump(&mut self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// Fills an empty store and gives it a new identity, in one transaction: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// When the store is not empty, cannot be written, or one of the parts is an error.
    fn restore(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError>;
}

/// The head among the parts, where it must come first.
///
/// # Errors
///
/// When something else comes, or an error.
pub(super) fn head(
    parts: &mut dyn Iterator<Item = Result<Part, StoreError>>,
) -> Result<(Snapshot, Revision), StoreError> {
    match parts.next().transpose()? {
        Some(Part::Head { snapshot, horizon }) => Ok((snapshot, horizon)),
        Some(Part::Change(_)) | None => Err(StoreError::refused("what stands must come before its changes")),
    }
}

/// The change of a part after the head.
///
/// # Errors
///
/// When it is another head, or an error.
pub(super) fn change(part: Result<Part, StoreError>) -> Result<ChangeRow, StoreError> {
    match part? {
        Part::Change(row) => Ok(row),
        Part::Head { .. } => Err(StoreError::refused("what stands is told twice")),
    }
}

/// Why a store that holds something is not filled.
pub(super) fn not_empty() -> StoreError {
    StoreError::refused("the store is not empty; import into a new one")
}
