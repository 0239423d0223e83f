//! Sixteen clients that write, four that read, and the notes they take, until the server is gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::dice::Dice;
use crate::reader::Reader;
use crate::violation::Violation;
use crate::witnesses::Witnesses;
use crate::writer::Writer;

/// How long the server may take for a round of load before that counts as a hang. Much more than it ever takes.
const PATIENCE: Duration = Duration::from_mins(2);

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

/// Takes the notes of all clients, over all lives of the server.
pub(crate) struct Observer {
    witnesses: Mutex<Witnesses>,
    /// Told of each new revision as soon as somebody saw it, before the clients go on.
    on_sight: Box<dyn Fn(News) -> Result<(), Violation> + Send + Sync>,
    /// One permit for each revision that nobody saw before.
    news: Semaphore,
    /// One permit for each write that was refused.
    refusals: Semaphore,
    numbers: AtomicU64,
}

impl Observer {
    pub(crate) fn new(on_sight: impl Fn(News) -> Result<(), Violation> + Send + Sync + 'static) -> Arc<Observer> {
        Arc::new(Observer {
            witnesses: Mutex::default(),
            on_sight: Box::new(on_sight),
            news: Semaphore::new(0),
            refusals: Semaphore::new(0),
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
        self.refusals.add_permits(1);
    }

    /// How many writes were refused, over all lives of the server.
    pub(crate) fn refused(&self) -> usize {
        self.refusals.available_permits()
    }

    fn tell(&self, all: impl IntoIterator<Item = News>) -> Result<(), Violation> {
        for news in all {
            (self.on_sight)(news)?;
            self.news.add_permits(1);
        }
        Ok(())
    }
}

/// The clients. They keep what they know of their plugins from one life of the server to the next.
pub(crate) struct Load {
    observer: Arc<Observer>,
    writers: Vec<Writer>,
    readers: Vec<Reader>,
}

impl Load {
    pub(crate) fn new(dice: &Dice, observer: &Arc<Observer>, writers: u64, readers: u64) -> Load {
        Load {
            observer: observer.clone(),
            writers: (0..writers).map(|number| Writer::new(number, dice.for_task(number))).collect(),
            readers: (0..readers).map(|number| Reader::new(dice.for_task(1000 + number))).collect(),
        }
    }

    /// Starts all clients on the server at `address`.
    pub(crate) fn start(&mut self, address: &str) -> Running<'_> {
        let mut tasks = JoinSet::new();
        for mut writer in self.writers.drain(..) {
            let (client, observer) = (Client::new(address), self.observer.clone());
            tasks.spawn(async move {
                let result = writer.run(&client, &observer).await;
                stop_waiting_on_violation(&observer, &result);
                result.map(|()| Done::Writer(writer))
            });
        }
        for mut reader in self.readers.drain(..) {
            let (client, observer) = (Client::new(address), self.observer.clone());
            tasks.spawn(async move {
                let result = reader.run(&client, &observer).await;
                stop_waiting_on_violation(&observer, &result);
                result.map(|()| Done::Reader(reader))
            });
        }
        // What was seen in the last life does not count for this one.
        self.observer.news.forget_permits(usize::MAX);
        Running { load: self, tasks }
    }
}

async fn wait_for(events: &Semaphore, count: u32, what: &str) -> Result<(), Violation> {
    match tokio::time::timeout(PATIENCE, events.acquire_many(count)).await {
        Ok(Ok(permits)) => permits.forget(),
        Ok(Err(_closed)) => {}
        Err(_) => return Err(Violation::Server(format!("gave fewer than {count} {what} in {PATIENCE:?}"))),
    }
    Ok(())
}

enum Done {
    Writer(Writer),
    Reader(Reader),
}

fn stop_waiting_on_violation(observer: &Observer, result: &Result<(), Violation>) {
    if result.is_err() {
        observer.news.close();
        observer.refusals.close();
    }
}

/// Clients at work.
pub(crate) struct Running<'a> {
    load: &'a mut Load,
    tasks: JoinSet<Result<Done, Violation>>,
}

impl Running<'_> {
    /// Waits until `count` new revisions were seen, or a client found a violation (which [`Running::finish`] reports).
    ///
    /// # Errors
    /// When the server takes no writes any more.
    pub(crate) async fn news(&self, count: u32) -> Result<(), Violation> {
        wait_for(&self.load.observer.news, count, "new revisions").await
    }

    /// Waits until `count` writes were refused, as [`Running::news`] does.
    ///
    /// # Errors
    /// When the server refuses none.
    pub(crate) async fn refusals(&self, count: u32) -> Result<(), Violation> {
        wait_for(&self.load.observer.refusals, count, "refusals").await
    }

    /// Waits until `count` revisions were seen over all lives of the server, as [`Running::news`] does.
    ///
    /// # Errors
    /// When the server takes no writes any more.
    pub(crate) async fn seen(&self, count: u64) -> Result<(), Violation> {
        while self.load.observer.witnesses().seen() < count && !self.load.observer.news.is_closed() {
            self.news(1).await?;
        }
        Ok(())
    }

    /// Waits for the clients, which end by themselves when the server is gone.
    ///
    /// # Errors
    /// The first violation that one of them found.
    pub(crate) async fn finish(mut self) -> Result<(), Violation> {
        while let Some(done) = self.tasks.join_next().await {
            match done.map_err(|error| Violation::Harness(error.to_string()))?? {
                Done::Writer(writer) => self.load.writers.push(writer),
                Done::Reader(reader) => self.load.readers.push(reader),
            }
        }
        Ok(())
    }
}
