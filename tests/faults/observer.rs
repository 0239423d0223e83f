//! The notes that all clients take together, and what others can wait for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::violation::Violation;
use crate::witnesses::Witnesses;

/// A revision that nobody saw before, and how it became known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    Acknowledged(u64),
    Read(u64),
}

impl News {
    pub(crate) fn revision(self) -> u64 {
        let (News::Acknowledged(revision) | News::Read(revision)) = self;
        revision
    }
}

/// How far the clients are in one life of the server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Revisions that nobody saw before.
    pub(crate) news: u64,
    /// Writes that were refused.
    pub(crate) refusals: u64,
    /// The server is gone, or a client has found a violation.
    pub(crate) ended: bool,
}

/// Takes the notes of all clients, over all lives of the server.
pub(crate) struct Observer {
    witnesses: Mutex<Witnesses>,
    /// Told of each new revision as soon as somebody saw it, before the clients go on.
    on_sight: Box<dyn Fn(News) -> Result<(), Violation> + Send + Sync>,
    progress: watch::Sender<Progress>,
    refusals: AtomicU64,
    numbers: AtomicU64,
}

impl Observer {
    pub(crate) fn new(on_sight: impl Fn(News) -> Result<(), Violation> + Send + Sync + 'static) -> Arc<Observer> {
        Arc::new(Observer {
            witnesses: Mutex::default(),
            on_sight: Box::new(on_sight),
            progress: watch::Sender::default(),
            refusals: AtomicU64::new(0),
            numbers: AtomicU64::new(1),
        })
    }

    pub(crate) fn witnesses(&self) -> MutexGuard<'_, Witnesses> {
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no write bore before.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a plugin's document from the reply to a write.
    pub(crate) fn wrote_document(&self, document: &Value, head: u64) -> Result<(), Violation> {
        self.saw_document(document, head, News::Acknowledged)
    }

    /// Takes a plugin's document from the reply to a read.
    pub(crate) fn read_document(&self, document: &Value, head: u64) -> Result<(), Violation> {
        self.saw_document(document, head, News::Read)
    }

    fn saw_document(&self, document: &Value, head: u64, how: fn(u64) -> News) -> Result<(), Violation> {
        let mut witnesses = self.witnesses();
        let is_new = witnesses.saw_document(document)?;
        let newest = witnesses.saw_head(head);
        drop(witnesses);
        self.tell(is_new.into_iter().chain(newest).map(how))
    }

    /// Takes a whole list.
    pub(crate) fn read_list(&self, revision: u64, items: &[Value]) -> Result<(), Violation> {
        let new = self.witnesses().saw_list(revision, items)?;
        self.tell(new.into_iter().map(News::Read))
    }

    /// Takes the reply to a DELETE.
    pub(crate) fn removed(&self, unique_id: &str, after: u64, until: u64) -> Result<(), Violation> {
        let newest = self.witnesses().saw_removal(unique_id, after, until);
        self.tell(newest.map(News::Acknowledged))
    }

    /// Notes a write that was refused for now.
    pub(crate) fn saw_refusal(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.progress.send_modify(|progress| progress.refusals += 1);
    }

    /// How many writes were refused, over all lives of the server.
    pub(crate) fn refused(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// How far the clients are in this life of the server.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// A new life of the server begins.
    pub(crate) fn life_begins(&self) {
        self.progress.send_replace(Progress::default());
    }

    /// A client has come to its end: the server is gone, or has broken a promise.
    pub(crate) fn life_ends(&self) {
        self.progress.send_modify(|progress| progress.ended = true);
    }

    fn tell(&self, all: impl IntoIterator<Item = News>) -> Result<(), Violation> {
        for news in all {
            (self.on_sight)(news)?;
            self.progress.send_modify(|progress| progress.news += 1);
        }
        Ok(())
    }
}
