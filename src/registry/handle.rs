//! The registry as the rest of the program holds it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore, oneshot, watch};

use super::freshness::Freshness;
use super::heartbeats::Heartbeats;
use super::journal_cache::JournalCache;
use super::limits::READERS;
use super::metrics::RegistryMetrics;
use super::prechecks::Prechecks;
use super::queue::{Submission, WriterMessage};
use super::submit_error::SubmitError;
use super::trace::CommandTrace;
use super::watch::EventPublisher;
use super::writer::{self, Writer};
use crate::clock::Clock;
use crate::registry::health::WriterHealth;
use crate::store::heartbeats::HeartbeatStore;
use crate::store::{History, Journal, StoreError, TokenStore, WebhookStore};
use domain::Snapshot;
use domain::change::retention::Retention;
use domain::command::quota::Quotas;
use domain::command::schema_check::SchemaCheck;
use domain::command::schema_question::CheckedSchema;
use domain::command::{Outcome, Refusal, Request};

/// How many commands may wait for the writer before another is turned away.
const QUEUE: usize = 4096;

/// How long a command may wait for a place in the queue.
const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// The registry: readers take a snapshot, writers submit a command. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    published: Arc<ArcSwap<Snapshot>>,
    topics: Arc<EventPublisher>,
    history: Arc<dyn History>,
    webhooks: Arc<dyn WebhookStore>,
    heartbeat_store: Arc<dyn HeartbeatStore>,
    tokens: Arc<dyn TokenStore>,
    heartbeats: Heartbeats,
    clock: Arc<dyn Clock>,
    health: watch::Receiver<WriterHealth>,
    readers: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    journal_cache: JournalCache,
    prechecks: Prechecks,
    freshness: Arc<Freshness>,
    measures: RegistryMetrics,
    places: Arc<Semaphore>,
    queue: Arc<std::sync::mpsc::Sender<WriterMessage>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Registry {
    /// Loads the state that `journal` keeps, and starts the writer.
    ///
    /// Where it cannot be read for now, the registry starts without it, and loads it as soon as it can: see
    /// [`Snapshot::is_loaded`] and [`Registry::loaded`].
    ///
    /// # Errors
    ///
    /// When the journal cannot be read, and waiting would not help.
    pub fn start(journal: Box<dyn Journal>, clock: Arc<dyn Clock>) -> Result<Registry, StoreError> {
        Registry::start_keeping(journal, clock, Retention::default())
    }

    /// As [`Registry::start`], with a journal that is kept for so long.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_keeping(
        journal: Box<dyn Journal>,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<Registry, StoreError> {
        Registry::start_within(journal, clock, retention, Quotas::default())
    }

    /// As [`Registry::start_keeping`], with no more in it than that.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_within(
        mut journal: Box<dyn Journal>,
        clock: Arc<dyn Clock>,
        retention: Retention,
        quotas: Quotas,
    ) -> Result<Registry, StoreError> {
        let (queue, submissions) = std::sync::mpsc::channel();
        let queue = Arc::new(queue);
        // Not one that keeps the queue open: the writer ends with the last one who holds the registry.
        let waking = Arc::downgrade(&queue);
        journal.on_news(Arc::new(move || drop(waking.upgrade().map(|queue| queue.send(WriterMessage::News)))));
        let (snapshot, health) = match journal.load() {
            Ok(snapshot) => (snapshot, WriterHealth::Writable),
            Err(failure) if failure.may_pass() => {
                tracing::warn!(error = failure.chain(), "the store cannot be read yet");
                (Snapshot::unloaded(), WriterHealth::Starting { reason: failure.reason(), since: clock.now() })
            }
            Err(failure) => return Err(failure),
        };
        let topics = Arc::new(EventPublisher::new(snapshot.state.revision()));
        let published = Arc::new(ArcSwap::from_pointee(snapshot));
        let (report, health) = watch::channel(health);
        let freshness = Arc::new(Freshness::new());
        let measures = RegistryMetrics::default();
        let history = journal.history();
        let (webhooks, heartbeat_store, tokens) = (journal.webhooks(), journal.heartbeat_store(), journal.tokens());
        let heartbeats = Heartbeats::new(clock.now());
        let writer = Writer {
            journal,
            history: Arc::clone(&history),
            clock: Arc::clone(&clock),
            published: Arc::clone(&published),
            report,
            topics: Arc::clone(&topics),
            retention,
            quotas,
            freshness: Arc::clone(&freshness),
            measures: measures.clone(),
        };
        let thread = Mutex::new(Some(writer::start(writer, submissions)?));
        let places = Arc::new(Semaphore::new(QUEUE));
        let readers = Arc::new(Semaphore::new(READERS));
        let backups = Arc::new(Semaphore::new(super::limits::AT_A_TIME));
        let journal_cache = JournalCache::new();
        let inner = Inner {
            published,
            topics,
            history,
            webhooks,
            heartbeat_store,
            tokens,
            heartbeats,
            clock,
            health,
            readers,
            backups,
            journal_cache,
            prechecks: Prechecks::new(),
            freshness,
            measures,
            places,
            queue,
            thread,
        };
        Ok(Registry(Arc::new(inner)))
    }

    /// The newest published state. Never waits, and never shows what is not durable.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.published.load_full()
    }

    /// What time it is: never before the newest change.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now().max(self.snapshot().state.at())
    }

    /// What can be followed.
    pub fn topics(&self) -> &Arc<EventPublisher> {
        &self.0.topics
    }

    /// The past. It waits for a disk: [`super::journal_reader`] asks it where that is no harm.
    pub(super) fn history(&self) -> &Arc<dyn History> {
        &self.0.history
    }

    /// What was read of the past.
    pub(super) fn journal_cache(&self) -> &JournalCache {
        &self.0.journal_cache
    }

    /// The places of those who read the past.
    pub(super) fn readers(&self) -> &Arc<Semaphore> {
        &self.0.readers
    }

    /// The places of those who make backups.
    pub(super) fn backups(&self) -> &Arc<Semaphore> {
        &self.0.backups
    }

    /// The webhooks that are kept in the same store. It waits for a disk, as the past does.
    pub fn webhooks(&self) -> &Arc<dyn WebhookStore> {
        &self.0.webhooks
    }

    /// The tokens that are kept in the same store. It waits for a disk, as the past does.
    pub fn tokens(&self) -> &Arc<dyn TokenStore> {
        &self.0.tokens
    }

    /// Signs of life that other processes on the same store are told of. It waits for a disk.
    pub(super) fn heartbeat_store(&self) -> &Arc<dyn HeartbeatStore> {
        &self.0.heartbeat_store
    }

    /// Signs of life.
    pub fn heartbeats(&self) -> &Heartbeats {
        &self.0.heartbeats
    }

    /// The clock by which changes are made.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Ends all watching, so that nobody waits for what will not come.
    pub fn end_watches(&self) {
        self.0.topics.close();
    }

    /// Whether changes can be written at the moment.
    pub fn health(&self) -> WriterHealth {
        self.0.health.borrow().clone()
    }

    /// Returns once the store has been read.
    pub async fn loaded(&self) {
        let mut health = self.0.health.clone();
        // A writer that has ended loads nothing any more, and whoever waits here is ended with it.
        if health.wait_for(|health| !matches!(health, WriterHealth::Starting { .. })).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// When the snapshot was the newest for certain.
    pub fn freshness(&self) -> &Freshness {
        &self.0.freshness
    }

    /// What is counted and timed.
    pub fn measures(&self) -> &RegistryMetrics {
        &self.0.measures
    }

    /// Returns once everything is published that anybody has committed before the call.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn catch_up(&self) -> Result<(), SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.send(WriterMessage::CatchUp(answer)).map_err(|_| SubmitError::Closed)?;
        answered.await.map_err(|_| SubmitError::Closed)?
    }

    /// Does a command, and returns once it is durable.
    ///
    /// Dropping the future does not undo the command: it may still be done.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`]. After any of them, nothing that a reader can see was changed.
    pub async fn submit(&self, request: Request) -> Result<Outcome, SubmitError> {
        self.enqueue(request).await?.outcome().await
    }

    /// Puts a command into the queue. Commands are done in the order in which they were put there.
    ///
    /// # Errors
    ///
    /// When it is refused before it reaches the queue, or finds no place there.
    pub async fn enqueue(&self, request: Request) -> Result<Pending, SubmitError> {
        let request = Arc::new(request);
        let checked = match SchemaCheck::of(&request.command, &self.snapshot().state) {
            SchemaCheck::Nothing => None,
            SchemaCheck::Known(checked) => Some(checked),
            SchemaCheck::Ask(question) => match self.0.prechecks.check(question).await {
                Ok(checked) => Some(checked),
                // It may have been done before, when the check would have gone well: the writer knows.
                Err(_) if request.attempt.is_some() => None,
                Err(wrong) => return Err(wrong),
            },
        };
        let answered = self.send(Arc::clone(&request), checked).await?;
        Ok(Pending { registry: self.clone(), request, answered })
    }

    async fn send(
        &self,
        request: Arc<Request>,
        checked: Option<CheckedSchema>,
    ) -> Result<OutcomeReceiver, SubmitError> {
        let place = tokio::time::timeout(QUEUE_WAIT, Arc::clone(&self.0.places).acquire_owned())
            .await
            .map_err(|_| SubmitError::Overloaded)?
            .map_err(|_| SubmitError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let submission = Submission { request, checked, answer, traced: CommandTrace::queued(), _place: place };
        self.0.measures.queue.inc();
        self.0.queue.send(WriterMessage::Submit(submission)).map_err(|_| SubmitError::Closed)?;
        Ok(answered)
    }

    /// Takes no more commands, finishes those that wait, and closes the store.
    pub async fn close(&self) {
        self.0.places.close();
        // A writer that has ended already has nothing left to stop.
        drop(self.0.queue.send(WriterMessage::Stop));
        let Some(thread) = self.0.thread.lock().await.take() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the writer ended by a panic");
        }
    }
}

type OutcomeReceiver = oneshot::Receiver<Result<Outcome, SubmitError>>;

/// A command in the queue.
pub struct Pending {
    registry: Registry,
    request: Arc<Request>,
    answered: OutcomeReceiver,
}

impl Pending {
    /// What came of it, once it is durable.
    ///
    /// # Errors
    ///
    /// As [`Registry::submit`].
    pub async fn outcome(mut self) -> Result<Outcome, SubmitError> {
        loop {
            match self.answered.await.map_err(|_| SubmitError::Closed)? {
                // What was checked has changed since; check what stands now, and ask again.
                Err(SubmitError::Refused(Refusal::NotChecked(question))) => {
                    let checked = self.registry.0.prechecks.check(question).await?;
                    self.answered = self.registry.send(Arc::clone(&self.request), Some(checked)).await?;
                }
                answer => return answer,
            }
        }
    }
}
