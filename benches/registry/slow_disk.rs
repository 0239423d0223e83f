//! A store on an artificially slow disk: a real store, with a sleep in every commit.
//!
//! 5 ms is the fsync time of a network disk or a spinning disk.

use std::sync::Arc;
use std::time::Duration;

use domain::change::Change;
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;
use domain::{Revision, Snapshot, State};
use plugin_registry::store::heartbeats::HeartbeatStore;
use plugin_registry::store::hours::PassedHours;
use plugin_registry::store::{Batch, History, Journal, StoreError, TokenStore, WebhookStore};

/// The additional time of each commit.
pub(crate) const SYNC_TIME: Duration = Duration::from_millis(5);

/// A journal whose commits are slow.
pub(crate) struct SlowDisk(Box<dyn Journal>);

impl SlowDisk {
    /// Slows down a journal.
    pub(crate) fn under(journal: Box<dyn Journal>) -> SlowDisk {
        SlowDisk(journal)
    }
}

impl Journal for SlowDisk {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.0.load()
    }

    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.0.begin(known)
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        std::thread::sleep(SYNC_TIME);
        self.0.commit(batch)
    }

    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
        self.0.answers(keys)
    }

    fn forget_answers(&mut self, before: u64, limit: usize) -> Result<(), StoreError> {
        self.0.forget_answers(before, limit)
    }

    fn bound_answers(&mut self, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
        self.0.bound_answers(quota, limit)
    }

    fn roll_back(&mut self) {
        self.0.roll_back();
    }

    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.0.foreign_changes(known)
    }

    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.read(after, limit)
    }

    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError> {
        self.0.compact(compact_revision, steps)
    }

    fn history(&self) -> Arc<dyn History> {
        self.0.history()
    }

    fn webhooks(&self) -> Arc<dyn WebhookStore> {
        self.0.webhooks()
    }

    fn hour(&mut self) -> Result<u64, StoreError> {
        self.0.hour()
    }

    fn pass_hours(&mut self, passed: &PassedHours) -> Result<u64, StoreError> {
        self.0.pass_hours(passed)
    }

    fn revision_at_hour(&mut self, hour: u64) -> Result<Revision, StoreError> {
        self.0.revision_at_hour(hour)
    }

    fn heartbeat_store(&self) -> Arc<dyn HeartbeatStore> {
        self.0.heartbeat_store()
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        self.0.tokens()
    }

    fn close(&mut self) {
        self.0.close();
    }
}
