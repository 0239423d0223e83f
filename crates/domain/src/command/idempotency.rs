//! Idempotent requests: the registry does a request with a key once. A retry gets the first response from any replica,
//! for a day (draft-ietf-httpapi-idempotency-key-header).
//!
//! The store saves the response in the transaction of the change, so that neither exists without the other. A refused
//! request changed nothing, so its retry is decided anew.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::answer::Answer;
use super::outcome::Outcome;
use super::refusal::Refusal;
use crate::revision::Revision;

/// How long a response is kept at least, in hours through which the registry runs.
pub const KEPT: u64 = 24;

/// What a stored response costs beside its text, in bytes: its entries in two indexes of the store.
pub const OVERHEAD: u64 = 256;

/// The idempotency key of a request, and how to build its response.
#[derive(Clone)]
pub struct Attempt {
    /// The key, chosen by the client.
    pub key: Box<str>,
    /// A digest of the request. A client must not use the same key for another request.
    pub fingerprint: Box<str>,
    /// Builds the response from the outcome.
    pub answer: Arc<dyn Fn(&Outcome) -> Answer + Send + Sync>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// See [`Attempt::key`].
    pub key: Box<str>,
    /// See [`Attempt::fingerprint`].
    pub fingerprint: Box<str>,
    /// When the request was done.
    pub at: Timestamp,
    /// The hour of the registry's life in which it was done.
    pub hour: u64,
    /// The response.
    pub answer: Arc<Answer>,
}

impl KeptAnswer {
    /// The response to a request that was done.
    pub fn of(attempt: &Attempt, outcome: &Outcome, at: Timestamp, hour: u64) -> KeptAnswer {
        let answer = Arc::new((attempt.answer)(outcome));
        KeptAnswer { key: attempt.key.clone(), fingerprint: attempt.fingerprint.clone(), at, hour, answer }
    }

    /// The outcome of a retry, at a revision.
    ///
    /// # Errors
    ///
    /// If the retry is a different request.
    pub fn repeat(&self, attempt: &Attempt, revision: Revision) -> Result<Outcome, Refusal> {
        if attempt.fingerprint != self.fingerprint {
            return Err(Refusal::KeyReused);
        }
        let repeated = Some(Arc::clone(&self.answer));
        Ok(Outcome { revision, state: None, record: None, created: false, results: Vec::new(), repeated })
    }

    /// The id of the token that sent the key; empty without a token. A key is text, or text, a space and a token's id;
    /// the key of a line ends with `#` and a number.
    pub fn token(&self) -> &str {
        let scope = self.key.split_once(' ').map_or("", |(_, scope)| scope);
        scope.split_once('#').map_or(scope, |(token, _)| token)
    }

    /// The approximate size, in bytes.
    pub fn bytes(&self) -> u64 {
        let headers = self.answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        (self.key.len() + self.fingerprint.len() + headers + self.answer.body.len()) as u64 + OVERHEAD
    }

    /// Returns true if and only if the response is not too old.
    pub fn counts(&self, hour: u64) -> bool {
        hour.saturating_sub(self.hour) <= KEPT
    }
}
