//! A journal that fails, panics or waits at the command of its director.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, mpsc};

use tokio::sync::mpsc::UnboundedReceiver;

use super::within_patience;
use domain::change::Change;
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;
use domain::{Revision, Snapshot, State};
use plugin_registry::store::heartbeats::HeartbeatStore;
use plugin_registry::store::hours::PassedHours;
use plugin_registry::store::{Batch, History, Journal, StoreError, TokenStore, WebhookStore};

/// What the next commit does.
#[derive(Debug)]
pub(crate) enum Act {
    /// The commit fails and writes nothing: the disk is full.
    DiskFull,
    /// The commit fails although everything was written: its outcome is unknown.
    OutcomeUnknown,
    /// The commit panics.
    Panic,
    /// The commit waits until the director releases it.
    Wait,
}

/// Directs the journal.
pub(crate) struct Director {
    acts: Arc<Mutex<VecDeque<Act>>>,
    waiting: UnboundedReceiver<()>,
    go: mpsc::Sender<()>,
}

/// The journal.
pub(crate) struct FaultyJournal {
    inner: Box<dyn Journal>,
    acts: Arc<Mutex<VecDeque<Act>>>,
    waits: tokio::sync::mpsc::UnboundedSender<()>,
    go: mpsc::Receiver<()>,
}

/// A journal under the control of its director.
pub(crate) fn faulty(inner: impl Journal) -> (FaultyJournal, Director) {
    let acts = Arc::<Mutex<VecDeque<Act>>>::default();
    let (waits, waiting) = tokio::sync::mpsc::unbounded_channel();
    let (go, gone) = mpsc::channel();
    let director = Director { acts: Arc::clone(&acts), waiting, go };
    (FaultyJournal { inner: Box::new(inner), acts, waits, go: gone }, director)
}

impl Director {
    /// Sets the outcome of the next commit that has none yet.
    pub(crate) fn next(&self, act: Act) {
        self.acts.lock().unwrap().push_back(act);
    }

    /// Waits until a commit blocks.
    pub(crate) async fn commit_waits(&mut self) {
        within_patience("a commit", self.waiting.recv()).await.expect("the journal is gone");
    }

    /// Releases the blocked commit.
    pub(crate) fn let_go(&self) {
        self.go.send(()).expect("the journal is gone");
    }
}

impl Journal for FaultyJournal {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.inner.load()
    }

    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.inner.begin(known)
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        let act = self.acts.lock().unwrap().pop_front();
        match act {
            None => self.inner.commit(batch),
            Some(Act::DiskFull) => Err(StoreError::Full("no space left on device".into())),
            Some(Act::OutcomeUnknown) => {
                self.inner.commit(batch)?;
                Err(StoreError::Io("the disk did not say whether".into()))
            }
            Some(Act::Panic) => panic!("on purpose"),
            Some(Act::Wait) => {
                self.waits.send(()).expect("the director is gone");
                self.go.recv().expect("the director is gone");
                self.inner.commit(batch)
            }
        }
    }

    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
        self.inner.answers(keys)
    }

    fn forget_answers(&mut self, before: u64, limit: usize) -> Result<(), StoreError> {
        self.inner.forget_answers(before, limit)
    }

    fn bound_answers(&mut self, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
        self.inner.bound_answers(quota, limit)
    }

    fn roll_back(&mut self) {
        self.inner.roll_back();
    }

    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.inner.foreign_changes(known)
    }

    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.inner.read(after, limit)
    }

    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError> {
        self.inner.compact(compact_revision, steps)
    }

    fn history(&self) -> Arc<dyn History> {
        self.inner.history()
    }

    fn webhooks(&self) -> Arc<dyn WebhookStore> {
        self.inner.webhooks()
    }

    fn hour(&mut self) -> Result<u64, StoreError> {
        self.inner.hour()
    }

    fn pass_hours(&mut self, passed: &PassedHours) -> Result<u64, StoreError> {
        self.inner.pass_hours(passed)
    }

    fn revision_at_hour(&mut self, hour: u64) -> Result<Revision, StoreError> {
        self.inner.revision_at_hour(hour)
    }

    fn heartbeat_store(&self) -> Arc<dyn HeartbeatStore> {
        self.inner.heartbeat_store()
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        self.inner.tokens()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
