//! The storage of webhooks and their progress.
//!
//! Webhooks are beside the journal, not in it. A position changes with every delivery, and a secret must not be in the
//! history, which all viewers may read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::StoreError;
use domain::Revision;

/// The webhooks of a store. The methods may wait for a disk; writes are durable when they return.
pub trait WebhookStore: Send + Sync + 'static {
    /// All webhooks, in the order of ids.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn list(&self) -> Result<Vec<KeptWebhook>, StoreError>;

    /// Writes a webhook, and replaces one of the same id.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn put(&self, webhook: &KeptWebhook) -> Result<(), StoreError>;

    /// Deletes a webhook, if it exists.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn delete(&self, id: &str) -> Result<(), StoreError>;

    /// Writes the progress of a webhook; does nothing if the webhook was deleted.
    ///
    /// # Errors
    ///
    /// If the store cannot be written, or another process has taken the leadership.
    fn set_progress(&self, id: &str, progress: &DeliveryProgress) -> Result<(), StoreError>;

    /// Takes the leadership for deliveries if it is free, or keeps it if this process has it. One process has it at a
    /// time, and loses it with its connection to the store. A store that is not shared grants it forever.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached: then this process has lost the leadership.
    fn claim(&self) -> Result<Claim, StoreError> {
        Ok(Claim::Alone)
    }

    /// Makes the current leader release the leadership, and takes it.
    ///
    /// # Errors
    ///
    /// If that takes too long, or the store cannot be reached.
    fn insist(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Releases the leadership, if this process has it.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached: then the leadership is lost all the same.
    fn release(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The leader for deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// This process: the store is not shared with others.
    Alone,
    /// This process, newly: another process may have delivered until a moment ago.
    New,
    /// This process, as before.
    Held,
    /// This process, but another one requests the leadership.
    Wanted,
    /// Another process.
    Taken,
}

/// A stored webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptWebhook {
    /// Its id.
    pub id: String,
    /// The document that its owner set, as JSON; without the secret.
    pub document: String,
    /// The secret for signatures.
    pub secret: String,
    /// Its progress.
    pub progress: DeliveryProgress,
}

/// The progress of a webhook, and its failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryProgress {
    /// Every change up to this revision was delivered or did not match.
    pub position: Revision,
    /// The number of failed attempts of the next delivery.
    pub failures: u32,
    /// When the next delivery first failed.
    pub first_failed_at: Option<Timestamp>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The error of the last failed attempt.
    pub last_error: Option<String>,
    /// The HTTP status of the last attempt, if there was a response.
    pub last_status: Option<u16>,
    /// When the last delivery succeeded.
    pub last_delivered_at: Option<Timestamp>,
    /// When the registry gave up deliveries; `None` while they continue.
    pub parked_at: Option<Timestamp>,
}

impl fmt::Debug for KeptWebhook {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptWebhook").field("id", &self.id).field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// The webhooks of one process, in memory.
#[derive(Debug, Default)]
pub struct MemoryWebhooks(Mutex<BTreeMap<String, KeptWebhook>>);

impl MemoryWebhooks {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, KeptWebhook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebhookStore for MemoryWebhooks {
    fn list(&self) -> Result<Vec<KeptWebhook>, StoreError> {
        Ok(self.kept().values().cloned().collect())
    }

    fn put(&self, webhook: &KeptWebhook) -> Result<(), StoreError> {
        self.kept().insert(webhook.id.clone(), webhook.clone());
        Ok(())
    }

    fn delete(&self, id: &str) -> Result<(), StoreError> {
        self.kept().remove(id);
        Ok(())
    }

    fn set_progress(&self, id: &str, progress: &DeliveryProgress) -> Result<(), StoreError> {
        if let Some(webhook) = self.kept().get_mut(id) {
            webhook.progress = progress.clone();
        }
        Ok(())
    }
}
