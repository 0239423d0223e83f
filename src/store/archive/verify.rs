//! What a store or an archive was found to hold, for people, and for comparing.

use super::digest::Digest;
use super::replay::Replay;
use super::{Beside, Part, digest};
use crate::store::StoreError;
use domain::{Revision, State};

/// What was found so far.
#[derive(Default)]
pub struct Examination {
    head: Option<(String, State, Revision)>,
    replay: Option<Replay>,
    journal: Digest,
    tokens: usize,
    webhooks: usize,
    answers: usize,
}

impl Examination {
    /// Takes the next part, and replays it if it is a change.
    ///
    /// # Errors
    ///
    /// When it does not follow from those before.
    pub fn replay(&mut self, part: &Part) -> Result<(), StoreError> {
        match part {
            Part::Head { snapshot, horizon } => self.replay = Some(Replay::new(snapshot.state.clone(), *horizon)),
            Part::Beside(_) => {}
            Part::Change(row) => self.replay.as_mut().map_or(Ok(()), |replay| replay.take(row))?,
        }
        self.count(part)
    }

    /// Takes the next part, which somebody else replays.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub fn count(&mut self, part: &Part) -> Result<(), StoreError> {
        match part {
            Part::Head { snapshot, horizon } => {
                self.journal.add(&horizon.0.to_be_bytes());
                self.head = Some((snapshot.store.as_str().to_owned(), snapshot.state.clone(), *horizon));
            }
            Part::Beside(Beside::Token(_)) => self.tokens += 1,
            Part::Beside(Beside::Webhook(_)) => self.webhooks += 1,
            Part::Beside(Beside::Answer(_)) => self.answers += 1,
            Part::Change(row) => self.journal.add_change(row)?,
        }
        Ok(())
    }

    /// Compares what the changes have led to with what stands.
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
    /// When nothing was taken.
    pub fn report(&self) -> Result<String, StoreError> {
        let Some((store, state, horizon)) = &self.head else {
            return Err(StoreError::refused("there is nothing in it"));
        };
        Ok(format!(
            "store {store}: revision {}, {} plugins, every change after revision {horizon}, {} tokens, {} webhooks, {} kept answers\n\
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
