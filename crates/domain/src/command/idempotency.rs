//! Requests that may be sent again: a request with a key is done once, and whoever repeats it gets the first answer, on any
//! replica, for a day (draft-ietf-httpapi-idempotency-key-header).
//!
//! The answer is kept in the transaction of what was done, so that there is never one without the other. A request that
//! was refused has done nothing, and is decided anew when it is repeated.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::answer::Answer;
use super::outcome::Outcome;
use super::refusal::Refusal;
use crate::revision::Revision;

/// How long an answer is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What makes a request one that may be sent again.
#[derive(Clone)]
pub struct Attempt {
    /// Chosen by the client.
    pub key: Box<str>,
    /// A digest of what is asked: the same key must not be used for something else.
    pub fingerprint: Box<str>,
    /// Makes the answer to what was done.
    pub answer: Arc<dyn Fn(&Outcome) -> Answer + Send + Sync>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("key", &self.key).finish_non_exhaustive()
    }
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// See [`Attempt::key`].
    pub key: Box<str>,
    /// See [`Attempt::fingerprint`].
    pub fingerprint: Box<str>,
    /// When the request was done.
    pub at: Timestamp,
    /// What it was answered.
    pub answer: Arc<Answer>,
}

impl KeptAnswer {
    /// The answer to an attempt that was done.
    pub fn of(attempt: &Attempt, outcome: &Outcome, at: Timestamp) -> KeptAnswer {
        let answer = Arc::new((attempt.answer)(outcome));
        KeptAnswer { key: attempt.key.clone(), fingerprint: attempt.fingerprint.clone(), at, answer }
    }

    /// What another attempt comes to, at a revision.
    ///
    /// # Errors
    ///
    /// When it asks for something else.
    pub fn repeat(&self, attempt: &Attempt, revision: Revision) -> Result<Outcome, Refusal> {
        if attempt.fingerprint != self.fingerprint {
            return Err(Refusal::KeyReused);
        }
        let repeated = Some(Arc::clone(&self.answer));
        Ok(Outcome { revision, state: None, record: None, created: false, repeated })
    }

    /// Whether it still counts.
    pub fn counts(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < KEPT
    }
}
