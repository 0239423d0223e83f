//! The handle of the registry for the rest of the program.

use std::sync::{Arc, LazyLock, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore, oneshot, watch};

use super::aging::DayOld;
use super::bounded_history::BoundedHistory;
use super::clock_watch::ClockWatch;
use super::fair_pool::{FairPool, WorkCaller};
use super::freshness::Freshness;
use super::heartbeats::Heartbeats;
use super::journal_cache::JournalCache;
use super::limits::{READERS, SCAN_READERS};
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
use domain::change::retention::Retention;
use domain::command::quota::Quotas;
use domain::command::schema_check::SchemaCheck;
use domain::command::schema_question::{CheckedSchema, SchemaQuestion};
use domain::command::{Outcome, Refusal, Request};
use domain::host::{HostNames, LOCALHOST};
use domain::{Revision, Snapshot};

/// The maximum number of commands that wait for the writer. The registry refuses further ones.
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
    scanned_history: Arc<dyn History>,
    webhooks: Arc<dyn WebhookStore>,
    heartbeat_store: Arc<dyn HeartbeatStore>,
    tokens: Arc<dyn TokenStore>,
    heartbeats: Arc<Heartbeats>,
    clocks: Arc<ClockWatch>,
    day_old: DayOld,
    own_host: OnceLock<HostNames>,
    clock: Arc<dyn Clock>,
    health: watch::Receiver<WriterHealth>,
    readers: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    journal_cache: JournalCache,
    prechecks: Prechecks,
    scans: FairPool,
    checks: FairPool,
    freshness: Arc<Freshness>,
    measures: RegistryMetrics,
    places: Arc<Semaphore>,
    queue: Arc<std::sync::mpsc::Sender<WriterMessage>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Registry {
    /// Loads the state from `journal`, and starts the writer.
    ///
    /// If the journal cannot be read yet, the registry starts without state, and loads it as soon as possible: see
    /// [`Snapshot::is_loaded`] and [`Registry::loaded`].
    ///
    /// # Errors
    ///
    /// If the journal cannot be read, and waiting would not help.
    pub fn start(journal: Box<dyn Journal>, clock: Arc<dyn Clock>) -> Result<Registry, StoreError> {
        Registry::start_keeping(journal, clock, Retention::default())
    }

    /// As [`Registry::start`], with a retention of the journal.
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

    /// As [`Registry::start_keeping`], with quotas.
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
        // A weak reference must not keep the queue open: the writer ends when the last handle is dropped.
        let waking = Arc::downgrade(&queue);
        journal.on_news(Arc::new(move || drop(waking.upgrade().map(|queue| queue.send(WriterMessage::News)))));
        let (snapshot, health) = match journal.load() {
            Ok(snapshot) => (snapshot, WriterHealth::Writable),
            Err(failure) if failure.may_pass() => {
                tracing::warn!(error = failure.chain(), "the store cannot be read yet; the registry keeps trying");
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
        let clocks = Arc::new(ClockWatch::new(Arc::clone(&clock), measures.clock_jumps.clone()));
        let heartbeats = Arc::new(Heartbeats::new(Arc::clone(&clocks)));
        let day_old = DayOld::default();
        let writer = Writer {
            journal,
            clock: Arc::clone(&clock),
            published: Arc::clone(&published),
            report,
            topics: Arc::clone(&topics),
            retention,
            clocks: Arc::clone(&clocks),
            heartbeats: Arc::clone(&heartbeats),
            day_old: day_old.clone(),
            quotas,
            freshness: Arc::clone(&freshness),
            measures: measures.clone(),
        };
        let thread = Mutex::new(Some(writer::start(writer, submissions)?));
        let places = Arc::new(Semaphore::new(QUEUE));
        let readers = Arc::new(Semaphore::new(READERS));
        let backups = Arc::new(Semaphore::new(super::limits::AT_A_TIME));
        let journal_cache = JournalCache::new();
        let scanned_history = Arc::new(BoundedHistory::new(Arc::clone(&history), SCAN_READERS));
        let inner = Inner {
            published,
            topics,
            history,
            scanned_history,
            webhooks,
            heartbeat_store,
            tokens,
            heartbeats,
            clocks,
            day_old,
            own_host: OnceLock::new(),
            clock,
            health,
            readers,
            backups,
            journal_cache,
            prechecks: Prechecks::new(),
            scans: FairPool::new("scan"),
            checks: FairPool::new("check"),
            freshness,
            measures,
            places,
            queue,
            thread,
        };
        Ok(Registry(Arc::new(inner)))
    }

    /// The newest published state. Never waits, and never shows a change that is not durable.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.published.load_full()
    }

    /// The current time, at least that of the newest change unless that lies too far ahead: see [`ClockWatch::after`].
    pub fn now(&self) -> Timestamp {
        self.0.clocks.after(self.snapshot().state.at())
    }

    /// The wall clock beside the steady one.
    pub fn clocks(&self) -> &ClockWatch {
        &self.0.clocks
    }

    /// The head as of at least a day ago; 0 if the registry has not run for a day.
    pub(super) fn day_old(&self) -> Revision {
        self.0.day_old.revision()
    }

    /// The topics that watchers subscribe to.
    pub fn topics(&self) -> &Arc<EventPublisher> {
        &self.0.topics
    }

    /// The history. It waits for a disk: [`super::journal_reader`] calls it on blocking threads.
    pub(super) fn history(&self) -> &Arc<dyn History> {
        &self.0.history
    }

    /// The history for long reads of clients, on the threads of [`Registry::scans`].
    pub(super) fn scanned_history(&self) -> &Arc<dyn History> {
        &self.0.scanned_history
    }

    /// The cached parts of the journal.
    pub(super) fn journal_cache(&self) -> &JournalCache {
        &self.0.journal_cache
    }

    /// The permits for reading the history.
    pub(super) fn readers(&self) -> &Arc<Semaphore> {
        &self.0.readers
    }

    /// The threads for long reads of clients.
    pub fn scans(&self) -> &FairPool {
        &self.0.scans
    }

    /// The threads for long checks of what clients send. They are apart from the scans, so that no reader delays a
    /// write.
    pub fn checks(&self) -> &FairPool {
        &self.0.checks
    }

    /// The permits for backups.
    pub(super) fn backups(&self) -> &Arc<Semaphore> {
        &self.0.backups
    }

    /// The webhooks in the same store. Their methods wait for a disk, as the history's do.
    pub fn webhooks(&self) -> &Arc<dyn WebhookStore> {
        &self.0.webhooks
    }

    /// The tokens in the same store. Their methods wait for a disk, as the history's do.
    pub fn tokens(&self) -> &Arc<dyn TokenStore> {
        &self.0.tokens
    }

    /// The heartbeats shared with other processes on the same store. Its methods wait for a disk.
    pub(super) fn heartbeat_store(&self) -> &Arc<dyn HeartbeatStore> {
        &self.0.heartbeat_store
    }

    /// The names of the registry's own host: `localhost` and its like, and those of [`Registry::name_own_host`].
    pub fn own_host(&self) -> &HostNames {
        static UNNAMED: LazyLock<HostNames> = LazyLock::new(|| HostNames::of([LOCALHOST]));
        self.0.own_host.get().unwrap_or(&UNNAMED)
    }

    /// Names the registry's own host. Only the first call has an effect.
    pub fn name_own_host(&self, names: HostNames) {
        // A second call is a mistake of this program, and the first names stay right.
        let _first = self.0.own_host.set(names);
    }

    /// The heartbeats of leases, resources and agents.
    pub fn heartbeats(&self) -> &Heartbeats {
        &self.0.heartbeats
    }

    /// The clock for the times of changes.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Ends all subscriptions, so that no watcher waits for changes that will not come.
    pub fn end_watches(&self) {
        self.0.topics.close();
    }

    /// Whether changes can be written at the moment.
    pub fn health(&self) -> WriterHealth {
        self.0.health.borrow().clone()
    }

    /// Returns when the store has been loaded.
    pub async fn loaded(&self) {
        let mut health = self.0.health.clone();
        // A writer that has ended will not load anything, and the waiting task is about to end too.
        if health.wait_for(|health| !matches!(health, WriterHealth::Starting { .. })).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// When the snapshot was last certainly the newest.
    pub fn freshness(&self) -> &Freshness {
        &self.0.freshness
    }

    /// The metrics of the registry.
    pub fn measures(&self) -> &RegistryMetrics {
        &self.0.measures
    }

    /// Returns when every change that any process committed before the call is published.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn catch_up(&self) -> Result<(), SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.send(WriterMessage::CatchUp(answer)).map_err(|_| SubmitError::Closed)?;
        answered.await.map_err(|_| SubmitError::Closed)?
    }

    /// Does a command, and returns when it is durable.
    ///
    /// Dropping the future does not undo the command: the writer may still do it.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`]. After any of them, no reader sees a change.
    pub async fn submit(&self, request: Request) -> Result<Outcome, SubmitError> {
        self.enqueue(request).await?.outcome().await
    }

    /// Puts a command into the queue. The writer does commands in this order.
    ///
    /// # Errors
    ///
    /// If the registry refuses it before the queue, or the queue is full.
    pub async fn enqueue(&self, request: Request) -> Result<Pending, SubmitError> {
        let request = Arc::new(request);
        let checked = match SchemaCheck::of(&request.command, &self.snapshot().state) {
            SchemaCheck::Nothing => None,
            SchemaCheck::Known(checked) => Some(checked),
            SchemaCheck::Ask(question) => match self.precheck(&request, question).await {
                Ok(checked) => Some(checked),
                // A retry may be of a request whose check succeeded then; the writer has the stored response.
                Err(_) if request.attempt.is_some() => None,
                Err(wrong) => return Err(wrong),
            },
        };
        let answered = self.send(Arc::clone(&request), checked).await?;
        Ok(Pending { registry: self.clone(), request, answered })
    }

    async fn precheck(&self, request: &Request, question: SchemaQuestion) -> Result<CheckedSchema, SubmitError> {
        let name = request.principal.as_ref().map(|principal| Arc::clone(&principal.name));
        self.0.prechecks.check(&self.0.checks, name.map_or(WorkCaller::Unknown, WorkCaller::Named), question).await
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

    /// Accepts no more commands, finishes the queued ones, and closes the store.
    pub async fn close(&self) {
        self.0.places.close();
        let pools = self.clone();
        let closing = tokio::task::spawn_blocking(move || {
            // A read that goes on would keep the store from being closed cleanly.
            pools.0.scans.close();
            pools.0.checks.close();
        });
        if closing.await.is_err() {
            tracing::error!("closing the threads for long work panicked");
        }
        // Sending fails if the writer has already ended.
        drop(self.0.queue.send(WriterMessage::Stop));
        let Some(thread) = self.0.thread.lock().await.take() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the writer panicked");
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
    /// Its outcome, when it is durable.
    ///
    /// # Errors
    ///
    /// As [`Registry::submit`].
    pub async fn outcome(mut self) -> Result<Outcome, SubmitError> {
        loop {
            match self.answered.await.map_err(|_| SubmitError::Closed)? {
                // The schema or the configuration changed after the check: check the new ones, and retry.
                Err(SubmitError::Refused(Refusal::NotChecked(question))) => {
                    let checked = self.registry.precheck(&self.request, question).await?;
                    self.answered = self.registry.send(Arc::clone(&self.request), Some(checked)).await?;
                }
                answer => return answer,
            }
        }
    }
}
