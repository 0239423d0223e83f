//! Lines of an archive for data beside the journal.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::text::{raw, whole_micros};
use crate::store::row::{answer_of, answer_text, time_from_sql};
use crate::store::tokens::TokenRow;
use crate::store::webhooks::DeliveryProgress;
use crate::store::{KeptWebhook, StoreError};
use domain::Revision;
use domain::access::Token;
use domain::command::idempotency::KeptAnswer;

/// A token with its salted hash. A reader cannot derive the token from it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLine {
    id: String,
    name: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Box<RawValue>>,
    /// Salted. Absent for a revoked token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
}

/// A webhook.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookLine {
    id: String,
    /// The document as the store has it.
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

/// A stored response.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLine {
    key: String,
    fingerprint: String,
    at: Timestamp,
    /// The response as the store has it.
    answer: Box<RawValue>,
}

impl fmt::Debug for TokenLine {
    /// Without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLine").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookLine {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookLine").field("id", &self.id).field("position", &self.position).finish_non_exhaustive()
    }
}

impl TokenLine {
    /// The line of a token.
    ///
    /// # Errors
    ///
    /// If the stored token is damaged.
    pub fn new(row: &TokenRow) -> Result<TokenLine, StoreError> {
        let time = |micros: Option<i64>| micros.map(time_from_sql).transpose();
        let row = row.clone();
        Ok(TokenLine {
            id: row.id,
            name: row.name,
            role: row.role,
            scope: row.scope.map(raw).transpose()?,
            hash: row.hash,
            created_at: time_from_sql(row.created_at)?,
            created_by: row.created_by,
            expires_at: time(row.expires_at)?,
            last_used_at: time(row.last_used_at)?,
            revoked_at: time(row.revoked_at)?,
        })
    }

    /// The token.
    ///
    /// # Errors
    ///
    /// If the line is damaged.
    pub fn token(self) -> Result<TokenRow, StoreError> {
        let micros = |time: Timestamp| whole_micros(time).map(Timestamp::as_microsecond);
        let some = |time: Option<Timestamp>| time.map(micros).transpose();
        let row = TokenRow {
            id: self.id,
            name: self.name,
            role: self.role,
            scope: self.scope.map(|scope| scope.get().to_owned()),
            hash: self.hash,
            created_at: micros(self.created_at)?,
            created_by: self.created_by,
            expires_at: some(self.expires_at)?,
            last_used_at: some(self.last_used_at)?,
            revoked_at: some(self.revoked_at)?,
        };
        // The conversion reports the damage.
        Token::try_from(row.clone())?;
        Ok(row)
    }
}

impl WebhookLine {
    /// The line of a webhook.
    ///
    /// # Errors
    ///
    /// Never for a webhook that this program made.
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

    /// The webhook, in an archive up to `head`. No later change was delivered.
    ///
    /// # Errors
    ///
    /// If the line is damaged.
    pub fn webhook(self, head: Revision) -> Result<KeptWebhook, StoreError> {
        let time = |time: Option<Timestamp>| time.map(whole_micros).transpose();
        let progress = DeliveryProgress {
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
    /// The line of a stored response.
    ///
    /// # Errors
    ///
    /// Never for a response that this program made.
    pub fn new(kept: &KeptAnswer) -> Result<AnswerLine, StoreError> {
        let answer = raw(answer_text(&kept.answer)?)?;
        Ok(AnswerLine {
            key: kept.key.clone().into(),
            fingerprint: kept.fingerprint.clone().into(),
            at: kept.at,
            answer,
        })
    }

    /// The stored response.
    ///
    /// # Errors
    ///
    /// If the line is damaged.
    pub fn answer(&self) -> Result<KeptAnswer, StoreError> {
        // The hours of another store are not those of this one: the response is kept for a day from the restore.
        answer_of(&self.key, &self.fingerprint, (whole_micros(self.at)?.as_microsecond(), 0), self.answer.get())
    }
}
