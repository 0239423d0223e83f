//! Where webhooks are kept, with how far each has come.
//!
//! They are kept beside the journal and are no part of it: a position changes with every delivery,
//! and a secret must not be in the history, which everybody may read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::StoreError;
use domain::Revision;

/// The webhooks of a store. It may wait for a disk; what it has been told is durable when it returns.
pub trait WebhookStore: Send + Sync + 'static {
    /// All webhooks, in the order of their ids.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn list(&self) -> Result<Vec<KeptWebhook>, StoreError>;

    /// Keeps a webhook, in place of the one of the same id.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn put(&self, webhook: &KeptWebhook) -> Result<(), StoreError>;

    /// Forgets a webhook, if it is there.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn delete(&self, id: &str) -> Result<(), StoreError>;

    /// Keeps how far a webhook has come; does nothing when it is no more.
    ///
    /// # Errors
    ///
    /// When the store cannot be written, or another process has the right to deliver by now.
    fn set_progress(&self, id: &str, progress: &DeliveryProgress) -> Result<(), StoreError>;

    /// Takes the right to deliver, which one process has at a time, if nobody has it; keeps it, if this one has it.
    /// It is lost with the connection to the store. A store that is not shared gives it away once and for all.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked: then this process does not have it any more.
    fn claim(&self) -> Result<Claim, StoreError> {
        Ok(Claim::Alone)
    }

    /// Has the one who has the right give it up, and takes it.
    ///
    /// # Errors
    ///
    /// When that is not done in time, or the store cannot be asked.
    fn insist(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Gives the right to deliver up, if this process has it.
    ///
    /// # Errors
    ///
    /// When the store cannot be told: then it is lost all the same.
    fn release(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Who delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// This process: the store is not shared with others.
    Alone,
    /// This process, from now on: another may have delivered until a moment ago.
    New,
    /// This process, as before.
    Held,
    /// This process, and another insists on doing so.
    Wanted,
    /// Another process.
    Taken,
}

/// A webhook as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptWebhook {
    /// Names it.
    pub id: String,
    /// What its owner has set, as JSON; without the secret.
    pub document: String,
    /// What deliveries are signed with.
    pub secret: String,
    /// How far it has come.
    pub progress: DeliveryProgress,
}

/// How far a webhook has come, and what keeps it from going on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryProgress {
    /// Every change up to this revision was delivered, or is of no concern to it.
    pub position: Revision,
    /// How often the next delivery has failed.
    pub failures: u32,
    /// When the next delivery failed first.
    pub first_failed_at: Option<Timestamp>,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the newest attempt that failed has failed.
    pub last_error: Option<String>,
    /// The HTTP status of the newest attempt, when it was answered.
    pub last_status: Option<u16>,
    /// When something was delivered last.
    pub last_delivered_at: Option<Timestamp>,
    /// When it was given up; `None` while deliveries go on.
    pub parked_at: Option<Timestamp>,
}

impl fmt::Debug for KeptWebhook {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptWebhook").field("id", &self.id).field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// The webhooks of one process, in its memory.
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
