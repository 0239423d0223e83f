//! A whole registry as a file: a backup, or what is moved from one store to another.
//!
//! A store is told part by part ([`Archived::dump`]), and filled in the same way ([`Archived::restore`]). In between, the
//! parts are lines of JSON, or are compared with each other.
//!
//! | file | idea |
//! |---|---|
//! | [`line`](mod@line), [`beside`] | what a line says, of the registry and of what is kept beside it; pure |
//! | [`writer`], [`reader`] | parts to lines, and lines to parts, with a digest of all of them |
//! | [`standing`] | the changes that stand for a history which was left out |
//! | [`replay`] | whether the changes lead to the documents |
//! | [`digest`], [`examination`] | equal for equal registries, whatever keeps them; what was found, in a few lines |

pub mod auxiliary;
pub mod baseline;
pub mod digest;
pub mod line;
pub mod reader;
pub mod replay;
mod text;
pub mod verify;
pub mod writer;

use super::row::ChangeRow;
use super::tokens::TokenRow;
use super::{Journal, KeptWebhook, StoreError};
use domain::command::idempotency::KeptAnswer;
use domain::{Revision, Snapshot, StoreId};

/// A part of a store.
#[derive(Debug, Clone)]
pub enum Part {
    /// What stands; always the first part.
    Head {
        /// Everything as of the head.
        snapshot: Snapshot,
        /// After which revision every change is kept.
        compact_revision: Revision,
    },
    /// What is kept beside the journal: tokens, webhooks, answers, each in the order of their ids and keys.
    Auxiliary(Auxiliary),
    /// A change that is kept, oldest first. Those up to the horizon are there for what stood then.
    Change(ChangeRow),
}

/// What is kept beside the journal. It is part of a backup, which stands for the store that was lost, and of nothing else:
/// it holds secrets, and belongs to a place. Signs of life are no part of either: after a restart, everybody is given time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auxiliary {
    /// A token, or rather what it is known again by.
    Token(TokenRow),
    /// A webhook, with its secret, and how far it has come.
    Webhook(KeptWebhook),
    /// An answer to a request that may be sent again.
    Answer(KeptAnswer),
}

/// A store that can be told, and filled, as a whole.
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

    /// As [`Archived::restore`], in place of whatever the store holds.
    ///
    /// # Errors
    ///
    /// When the store cannot be written, or one of the parts is an error.
    fn replace(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError>;
}

/// Parts of which the next can be looked at.
type Ahead<'a> = std::iter::Peekable<&'a mut dyn Iterator<Item = Result<Part, StoreError>>>;

/// The head among the parts, where it must come first.
///
/// # Errors
///
/// When something else comes, or an error.
pub(super) fn head(
    parts: &mut dyn Iterator<Item = Result<Part, StoreError>>,
) -> Result<(Snapshot, Revision), StoreError> {
    match parts.next().transpose()? {
        Some(Part::Head { snapshot, compact_revision }) => Ok((snapshot, compact_revision)),
        Some(Part::Auxiliary(_) | Part::Change(_)) | None => {
            Err(StoreError::refused("what stands must come before its changes"))
        }
    }
}

/// The next part, if it is of what is kept beside the journal.
///
/// # Errors
///
/// When it is an error.
pub(super) fn next_auxiliary(parts: &mut Ahead<'_>) -> Result<Option<Auxiliary>, StoreError> {
    match parts.next_if(|part| matches!(part, Ok(Part::Auxiliary(_)) | Err(_))).transpose()? {
        Some(Part::Auxiliary(beside)) => Ok(Some(beside)),
        _ => Ok(None),
    }
}

/// The change of a part after all others.
///
/// # Errors
///
/// When it is something else, or an error.
pub(super) fn change(part: Result<Part, StoreError>) -> Result<ChangeRow, StoreError> {
    match part? {
        Part::Change(row) => Ok(row),
        Part::Head { .. } => Err(StoreError::refused("what stands is told twice")),
        Part::Auxiliary(_) => Err(StoreError::refused("what is kept beside the changes must come before them")),
    }
}

/// Why a store that holds something is not filled.
pub(super) fn not_empty() -> StoreError {
    StoreError::NotEmpty
}
