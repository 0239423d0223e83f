//! A whole registry as a file: a backup, or a copy for another store.
//!
//! [`Archived::dump`] passes a store on part by part, and [`Archived::restore`] fills a store in the same way. An
//! archive has the parts as lines of JSON; `verify` compares them.
//!
//! | file | idea |
//! |---|---|
//! | [`line`](mod@line), [`auxiliary`] | the lines of the registry, and of the data beside it; pure |
//! | [`writer`], [`reader`] | parts to lines, and lines to parts, with a digest of all lines |
//! | [`baseline`] | the changes that replace an omitted history |
//! | [`replay`] | whether the changes lead to the documents |
//! | [`digest`], [`verify`] | digests that are equal for equal registries; the report of a check |

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
    /// The current state; always the first part.
    Head {
        /// The state as of the head.
        snapshot: Snapshot,
        /// The compact revision: the store has every later change.
        compact_revision: Revision,
    },
    /// Data beside the journal: tokens, webhooks, stored responses, each in the order of ids and keys.
    Auxiliary(Auxiliary),
    /// A change, oldest first. Changes up to the compact revision define the state at that revision.
    Change(ChangeRow),
}

/// Data beside the journal. Only a backup has it, because it holds secrets and belongs to one deployment. No archive
/// has heartbeats: after a restart, all leases and resources get time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auxiliary {
    /// A token with its salted hash.
    Token(TokenRow),
    /// A webhook, with its secret and its progress.
    Webhook(KeptWebhook),
    /// A stored response.
    Answer(KeptAnswer),
}

/// A store that can be dumped and filled as a whole.
pub trait Archived: Journal {
    /// Visits everything as of one moment, also during writes.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or `visit` fails.
    fn dump(&mut self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// Fills an empty store and gives it a new identity, in one transaction: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// If the store is not empty or cannot be written, or one of the parts is an error.
    fn restore(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError>;

    /// As [`Archived::restore`], but replaces the content of the store.
    ///
    /// # Errors
    ///
    /// If the store cannot be written, or one of the parts is an error.
    fn replace(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError>;
}

/// Parts with one part of lookahead.
type Ahead<'a> = std::iter::Peekable<&'a mut dyn Iterator<Item = Result<Part, StoreError>>>;

/// The head, which must be the first part.
///
/// # Errors
///
/// If another part comes first, or an error.
pub(super) fn head(
    parts: &mut dyn Iterator<Item = Result<Part, StoreError>>,
) -> Result<(Snapshot, Revision), StoreError> {
    match parts.next().transpose()? {
        Some(Part::Head { snapshot, compact_revision }) => Ok((snapshot, compact_revision)),
        Some(Part::Auxiliary(_) | Part::Change(_)) | None => {
            Err(StoreError::refused("the state must come before the changes"))
        }
    }
}

/// The next part, if it is data beside the journal.
///
/// # Errors
///
/// If the part is an error.
pub(super) fn next_auxiliary(parts: &mut Ahead<'_>) -> Result<Option<Auxiliary>, StoreError> {
    match parts.next_if(|part| matches!(part, Ok(Part::Auxiliary(_)) | Err(_))).transpose()? {
        Some(Part::Auxiliary(beside)) => Ok(Some(beside)),
        _ => Ok(None),
    }
}

/// The change in a part after all others.
///
/// # Errors
///
/// If the part is of another kind, or an error.
pub(super) fn change(part: Result<Part, StoreError>) -> Result<ChangeRow, StoreError> {
    match part? {
        Part::Change(row) => Ok(row),
        Part::Head { .. } => Err(StoreError::refused("the state occurs twice")),
        Part::Auxiliary(_) => Err(StoreError::refused("tokens, webhooks and responses must come before the changes")),
    }
}

/// The error for a store that is not empty.
pub(super) fn not_empty() -> StoreError {
    StoreError::NotEmpty
}
