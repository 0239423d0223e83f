//! The report on the content of a store or an archive, for people and for comparison.

use super::digest::Digest;
use super::replay::Replay;
use super::{Auxiliary, Part, digest};
use crate::store::StoreError;
use domain::{Revision, State};

/// The content so far.
#[derive(Default)]
pub struct Verification {
    head: Option<(String, State, Revision)>,
    replay: Option<Replay>,
    journal: Digest,
    tokens: usize,
    webhooks: usize,
    answers: usize,
}

impl Verification {
    /// Adds the next part, and replays it if it is a change.
    ///
    /// # Errors
    ///
    /// If it does not follow from the parts before it.
    pub fn replay(&mut self, part: &Part) -> Result<(), StoreError> {
        match part {
            Part::Head { snapshot, compact_revision } => {
                self.replay = Some(Replay::new(snapshot.state.clone(), *compact_revision));
            }
            Part::Auxiliary(_) => {}
            Part::Change(row) => self.replay.as_mut().map_or(Ok(()), |replay| replay.take(row))?,
        }
        self.count(part)
    }

    /// Adds the next part; the caller replays it.
    ///
    /// # Errors
    ///
    /// If it is damaged.
    pub fn count(&mut self, part: &Part) -> Result<(), StoreError> {
        match part {
            Part::Head { snapshot, compact_revision } => {
                self.journal.add(&compact_revision.0.to_be_bytes());
                self.head = Some((snapshot.store.as_str().to_owned(), snapshot.state.clone(), *compact_revision));
            }
            Part::Auxiliary(Auxiliary::Token(_)) => self.tokens += 1,
            Part::Auxiliary(Auxiliary::Webhook(_)) => self.webhooks += 1,
            Part::Auxiliary(Auxiliary::Answer(_)) => self.answers += 1,
            Part::Change(row) => self.journal.add_change(row)?,
        }
        Ok(())
    }

    /// Compares the replayed changes with the stored state.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        self.replay.take().map_or(Ok(()), Replay::finish)
    }

    /// A few lines, with digests that are equal for equal registries.
    ///
    /// # Errors
    ///
    /// If there was no part.
    pub fn report(&self) -> Result<String, StoreError> {
        let Some((store, state, compact_revision)) = &self.head else {
            return Err(StoreError::refused("it is empty"));
        };
        Ok(format!(
            "store {store}: revision {}, {} plugins, every change after revision {compact_revision}, {} tokens, {} webhooks, {} stored responses\n\
             state sha256:{}\njournal sha256:{}\n",
            state.revision(),
            state.plugins().size(),
            self.tokens,
            self.webhooks,
            self.answers,
            digest::of_state(state)?,
            self.journal.clone().finish(),
        ))
    }
}
