//! Lines about what is kept beside the journal.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::line::{raw, whole_micros};
use crate::registry::Revision;
use crate::registry::idempotency::KeptAnswer;
use crate::store::row::{answer_of, answer_text};
use crate::store::{KeptWebhook, Progress, StoreError};

/// A webhook.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookLine {
    id: String,
    /// As it is kept.
    document: Box<RawValue>,
    secret: String,
    position: u64,
    #[serde(default)]
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_failed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_delivered_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parked_at: Option<Timestamp>,
}

/// An answer to a request that may be sent again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLine {
    key: String,
    fingerprint: String,
    at: Timestamp,
    /// As it is kept.
    answer: Box<RawValue>,
}

impl fmt::Debug for WebhookLine {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookLine").field("id", &self.id).field("position", &self.position).finish_non_exhaustive()
    }
}

impl WebhookLine {
    /// The line of a webhook.
    ///
    /// # Errors
    ///
    /// Never for what was made by this program.
    pub fn new(webhook: &KeptWebhook) -> Result<WebhookLine, StoreError> {
        let KeptWebhook { id, document, secret, progress } = webhook.clone();
        Ok(WebhookLine {
            id,
            document: raw(document)?,
            secret,
            position: progress.position.0,
            failures: progress.failures,
            first_failed_at: progress.first_failed_at,
            next_attempt_at: progress.next_attempt_at,
            last_error: progress.last_error,
            last_status: progress.last_status,
            last_delivered_at: progress.last_delivered_at,
            parked_at: progress.parked_at,
        })
    }

    /// The webhook, in an archive up to `head`, beyond which nothing was delivered.
    ///
    /// # Errors
    ///
    /// When the line is damaged.
    pub fn webhook(self, head: Revision) -> Result<KeptWebhook, StoreError> {
        let time = |time: Option<Timestamp>| time.map(whole_micros).transpose();
        let progress = Progress {
            position: Revision(self.position).min(head),
            failures: self.failures,
            first_failed_at: time(self.first_failed_at)?,
            next_attempt_at: time(self.next_attempt_at)?,
            last_error: self.last_error,
            last_status: self.last_status,
            last_delivered_at: time(self.last_delivered_at)?,
            parked_at: time(self.parked_at)?,
        };
        Ok(KeptWebhook { id: self.id, document: self.document.get().to_owned(), secret: self.secret, progress })
    }
}

impl AnswerLine {
    /// The line of an answer.
    ///
    /// # Errors
    ///
    /// Never for what was made by this program.
    pub fn new(kept: &KeptAnswer) -> Result<AnswerLine, StoreError> {
        let answer = raw(answer_text(&kept.answer)?)?;
        Ok(AnswerLine {
            key: kept.key.clone().into(),
            fingerprint: kept.fingerprint.clone().into(),
            at: kept.at,
            answer,
        })
    }

    /// The answer.
    ///
    /// # Errors
    ///
    /// When the line is damaged.
    pub fn answer(&self) -> Result<KeptAnswer, StoreError> {
        answer_of(&self.key, &self.fingerprint, whole_micros(self.at)?.as_microsecond(), self.answer.get())
    }
}
