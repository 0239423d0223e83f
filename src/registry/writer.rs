//! The one writer: decides waiting commands in order, commits them as one batch, publishes.
//!
//! It lives on a thread of its own, because a commit waits for the disk. While it waits, commands
//! gather; the next batch takes them all, so that the price of durability is paid once for many.
//!
//! Nothing is published or answered before the commit has returned. State is persistent, so a
//! batch that could not be committed is undone by forgetting the state that it had led to. Within a batch nobody else
//! holds that state, so that what its first command has copied of the maps is changed in place by the others.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::freshness::Freshness;
use super::health::WriterHealth;
use super::metrics::RegistryMetrics;
use super::queue::{CommandBatch, Submission, WriterMessage};
use super::submit_error::SubmitError;
use super::trace;
use super::trace::BatchSummary;
use super::watch::EventPublisher;
use crate::clock::Clock;
use crate::store::{Batch, History, Journal, StoreError};
use crate::telemetry::Trace;
use domain::change::retention::Retention;
use domain::change::{Change, Transition};
use domain::command::decide::decide;
use domain::command::idempotency::{KEPT, KeptAnswer};
use domain::command::quota::Quotas;
use domain::command::{Outcome, Refusal};
use domain::{Revision, Snapshot, State};

/// How many batches may wait to be filed for watchers. Beyond that the writer waits, so that they cost no memory without end.
const UNFILED: usize = 64;

/// How often an idle writer looks whether another process has written.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(500);

/// A writer that has written this lately probably does so again soon, and then reads what others have written anyway.
const SOON: Duration = Duration::from_millis(10);

/// How many changes are forgotten at a time: few enough to take no longer than a commit, and enough
/// that it is seldom done between two commits.
const FORGOTTEN_AT_A_TIME: usize = 1_000;

/// How long to wait before the store is read again when that has failed: at first, and at most.
const LOAD_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_LOAD_PAUSE: Duration = Duration::from_secs(30);

/// How often it is asked which changes have become too old.
const LOOK_FOR_OLD: SignedDuration = SignedDuration::from_mins(1);

/// What the writer works with.
pub(super) struct Writer {
    pub journal: Box<dyn Journal>,
    pub history: Arc<dyn History>,
    pub clock: Arc<dyn Clock>,
    pub published: Arc<ArcSwap<Snapshot>>,
    pub report: watch::Sender<WriterHealth>,
    pub topics: Arc<EventPublisher>,
    pub retention: Retention,
    pub quotas: Quotas,
    pub freshness: Arc<Freshness>,
    pub measures: RegistryMetrics,
}

/// Starts the writer on a thread of its own; it ends at [`WriterMessage::Stop`].
pub(super) fn start(writer: Writer, messages: Receiver<WriterMessage>) -> Result<JoinHandle<()>, StoreError> {
    // Waking thousands of watchers takes a while, and is not for the writer to wait for.
    let (news, filed) = sync_channel(UNFILED);
    let topics = Arc::clone(&writer.topics);
    let filing = spawn("watch", move || {
        for news in filed {
            match news {
                Published::Changes(transitions, traces) => topics.publish(&transitions, traces),
                Published::Unknown(head) => topics.restart(head),
            }
        }
    })?;
    spawn("writer", move || {
        let mut running = WriterLoop {
            writer,
            news,
            old: Revision::default(),
            looked: Timestamp::MIN,
            compact_revision: Revision::default(),
            failing: None,
            wrote: None,
        };
        if running.load(&messages) {
            running.run(&messages);
        }
        running.writer.journal.close();
        drop(running);
        if filing.join().is_err() {
            error!("the filing of changes ended by a panic");
        }
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|error| StoreError::unusable(format!("the {name} thread cannot be started"), error))
}

/// What was published.
enum Published {
    /// The changes that have led there, and the traces of those that a request of this process has made.
    Changes(Vec<Arc<Transition>>, Vec<(Revision, Trace)>),
    /// A state that was read as a whole: nobody here knows what has led there.
    Unknown(Revision),
}

/// The writer at work.
struct WriterLoop {
    writer: Writer,
    news: SyncSender<Published>,
    /// The newest revision that was too old when it was asked last.
    old: Revision,
    /// When that was.
    looked: Timestamp,
    /// After which revision every change is kept, as far as is known.
    compact_revision: Revision,
    /// What was logged last of a store that fails, as long as it does.
    failing: Option<String>,
    /// When the last batch was done with.
    wrote: Option<Instant>,
}

/// A batch as decided, on top of what others have written.
struct Decided {
    /// The snapshot to be published.
    snapshot: Snapshot,
    /// What others have written.
    foreign: Vec<Arc<Transition>>,
    /// The changes to be committed.
    transitions: Vec<Arc<Transition>>,
    /// The traces of the requests that those changes come from.
    traces: Vec<(Revision, Trace)>,
    /// The answers to be kept.
    kept: Vec<KeptAnswer>,
    /// What each submission will be told.
    answers: Vec<Result<Outcome, Refusal>>,
}

impl WriterLoop {
    /// Loads the store, if that could not be done at the start, as often as it takes. Returns false when there is to be no
    /// more of it.
    fn load(&mut self, messages: &Receiver<WriterMessage>) -> bool {
        let mut pause = LOAD_PAUSE;
        while !self.writer.published.load().is_loaded() {
            let until = Instant::now() + pause;
            loop {
                match messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(WriterMessage::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                    Ok(message) => {
                        let mut inbox = CommandBatch::default();
                        inbox.take(message);
                        inbox.refuse(&SubmitError::StoreUnavailable { reason: "it has not been read yet" });
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            pause = (pause * 2).min(LONGEST_LOAD_PAUSE);
            match self.reload() {
                Ok(()) => {
                    info!(revision = %self.writer.published.load().state.revision(), "the store has been read");
                    self.writer.report.send_replace(WriterHealth::Writable);
                }
                Err(failure) => {
                    warn!(error = failure.chain(), "the store cannot be read yet");
                    let since = self.writer.report.borrow().since().unwrap_or_else(|| self.writer.clock.now());
                    self.writer.report.send_replace(WriterHealth::Starting { reason: failure.reason(), since });
                }
            }
        }
        true
    }

    fn run(&mut self, messages: &Receiver<WriterMessage>) {
        let mut stopped = false;
        let mut patience = LOOK_FOR_OTHERS;
        while !stopped {
            let first = match messages.recv_timeout(std::mem::replace(&mut patience, LOOK_FOR_OTHERS)) {
                Ok(WriterMessage::News) if self.wrote.is_some_and(|wrote| wrote.elapsed() < SOON) => {
                    patience = SOON;
                    continue;
                }
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    // It is asked again before long.
                    drop(self.follow_others());
                    self.forget(1);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut inbox = CommandBatch::default();
            inbox.take(first);
            inbox.fill(messages);
            if inbox.batch.is_empty() {
                let followed = self.follow_others();
                let answer = followed.map_err(|failure| SubmitError::StoreUnavailable { reason: failure.reason() });
                for waiting in inbox.catching_up {
                    // Nobody may be waiting any more.
                    drop(waiting.send(answer.clone()));
                }
                stopped = inbox.is_stop;
            } else {
                stopped = self.write(inbox, messages);
                self.wrote = Some(Instant::now());
                self.forget(FORGOTTEN_AT_A_TIME as u64);
            }
        }
    }

    /// Decides, commits, publishes, answers: in this order. Returns whether that is to be the last.
    fn write(&mut self, mut inbox: CommandBatch, messages: &Receiver<WriterMessage>) -> bool {
        #[cfg(feature = "planted-bugs")]
        if self.writes_wrongly(&mut inbox) {
            return inbox.is_stop;
        }
        let begun = Instant::now();
        let written = catch_unwind(AssertUnwindSafe(|| {
            let decided = self.decide(&mut inbox, messages)?;
            self.commit(&decided)?;
            self.publish(&decided);
            Ok::<_, StoreError>(decided.answers)
        }));
        let failure = match &written {
            Ok(Ok(_)) => None,
            Ok(Err(failure)) => Some(failure.reason()),
            Err(_panic) => Some("the writer panicked"),
        };
        self.measure(&mut inbox.batch, begun, failure);
        let stopped = inbox.is_stop;
        match written {
            Ok(Ok(answers)) => {
                for (submission, answer) in inbox.batch.into_iter().zip::<Vec<_>>(answers) {
                    submission.reply(answer.map_err(SubmitError::from));
                }
                for waiting in inbox.catching_up {
                    // Nobody may be waiting any more.
                    drop(waiting.send(Ok(())));
                }
            }
            Ok(Err(failure)) => {
                self.writer.journal.roll_back();
                self.note_failure(&failure);
                inbox.refuse(&SubmitError::StoreUnavailable { reason: failure.reason() });
            }
            Err(_panic) => {
                self.writer.journal.roll_back();
                error!("the writer panicked; the batch was not written");
                inbox.refuse(&SubmitError::WriterFailed);
            }
        }
        stopped
    }

    /// Counts a batch, and ends what is told of it in traces. `failure` says why it was not written.
    fn measure(&self, batch: &mut [Submission], begun: Instant, failure: Option<&'static str>) {
        let measures = &self.writer.measures;
        let (commands, took) = (batch.len(), begun.elapsed());
        measures.queue.dec_by(i64::try_from(commands).unwrap_or(i64::MAX));
        if failure.is_none() {
            measures.commits.inc();
            measures.commit_time.observe(took.as_secs_f64());
            measures.batch.observe(u32::try_from(commands).unwrap_or(u32::MAX).into());
        } else {
            measures.failed_commits.inc();
        }
        let told = BatchSummary { commands, took, revision: self.writer.published.load().state.revision(), failure };
        trace::record_batch(batch.iter_mut().filter_map(|submission| submission.traced.as_mut()), &told);
    }

    /// Takes the store's lock, and decides all that waits by then on the newest state.
    fn decide(&mut self, inbox: &mut CommandBatch, messages: &Receiver<WriterMessage>) -> Result<Decided, StoreError> {
        let (mut snapshot, foreign) = self.begin()?;
        let foreign = snapshot.state.advance(foreign);
        // Others may have had the lock for a while.
        inbox.fill(messages);
        self.decide_all(snapshot, foreign, &inbox.batch)
    }

    /// Takes the store's lock; returns the published snapshot, and what others have written since.
    fn begin(&mut self) -> Result<(Snapshot, Vec<Change>), StoreError> {
        let snapshot = Snapshot::clone(&self.writer.published.load());
        match self.writer.journal.begin(&snapshot.state) {
            Err(StoreError::Compacted { .. }) => {
                self.reload()?;
                let snapshot = Snapshot::clone(&self.writer.published.load());
                let foreign = self.writer.journal.begin(&snapshot.state)?;
                Ok((snapshot, foreign))
            }
            foreign => Ok((snapshot, foreign?)),
        }
    }

    /// Decides commands one after the other, on top of a snapshot to which `foreign` has led.
    fn decide_all(
        &mut self,
        mut snapshot: Snapshot,
        foreign: Vec<Arc<Transition>>,
        batch: &[Submission],
    ) -> Result<Decided, StoreError> {
        // The clock of the machine may have been set back; the journal's never goes back.
        let at = self.writer.clock.now().max(snapshot.state.at());
        let mut known = self.known_answers(batch, at)?;
        let (mut transitions, mut traces, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut answers = Vec::with_capacity(batch.len());
        for Submission { request, checked, traced, .. } in batch {
            let attempt = request.attempt.as_ref();
            if let Some((attempt, first)) = attempt.and_then(|attempt| Some((attempt, known.get(&attempt.key)?))) {
                answers.push(first.repeat(attempt, snapshot.state.revision()));
                continue;
            }
            let answer = decide(&snapshot.state, &snapshot.store, request, checked.as_ref()).and_then(|decision| {
                let before = decision.subject.as_ref().and_then(|id| snapshot.state.revision_of(id));
                if let Some(event) = decision.event {
                    let revision = snapshot.state.revision().next();
                    let principal = request.principal.as_ref().map(|principal| Arc::clone(&principal.name));
                    let change = Change { revision, at, request_id: request.request_id.clone(), principal, event };
                    let made = self.make(change, &mut snapshot.state)?;
                    traces.extend(traced.as_ref().map(|traced| (revision, traced.trace.clone())));
                    transitions.push(made);
                }
                let state = decision.subject.is_none().then(|| snapshot.state.clone());
                let record = decision.subject.and_then(|id| snapshot.state.plugin(id.as_str()).cloned());
                let created = before.is_none() && record.is_some();
                Ok(Outcome { revision: snapshot.state.revision(), state, record, created, repeated: None })
            });
            if let (Some(attempt), Ok(outcome)) = (attempt, &answer) {
                let first = KeptAnswer::of(attempt, outcome, at);
                known.insert(first.key.clone(), first.clone());
                kept.push(first);
            }
            answers.push(answer);
        }
        Ok(Decided { snapshot, foreign, transitions, traces, kept, answers })
    }

    /// Makes a change, unless the registry would then hold more than it may.
    fn make(&self, change: Change, state: &mut State) -> Result<Arc<Transition>, Refusal> {
        let step = state.plan(&change);
        self.writer.quotas.check(&change.event, &step, state)?;
        state.apply_planned(&change, &step);
        Ok(Arc::new(Transition::new(change, step)))
    }

    /// The answers to earlier attempts of the requests in a batch.
    fn known_answers(
        &mut self,
        batch: &[Submission],
        now: Timestamp,
    ) -> Result<HashMap<Box<str>, KeptAnswer>, StoreError> {
        let attempts = batch.iter().filter_map(|submission| submission.request.attempt.as_ref());
        let keys: Vec<_> = attempts.map(|attempt| &*attempt.key).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let known = self.writer.journal.answers(&keys)?.into_iter().filter(|known| known.counts(now));
        Ok(known.map(|known| (known.key.clone(), known)).collect())
    }

    fn commit(&mut self, decided: &Decided) -> Result<(), StoreError> {
        if decided.transitions.is_empty() && decided.kept.is_empty() {
            self.writer.journal.roll_back();
            return Ok(());
        }
        let batch = Batch::new(&decided.transitions, &decided.snapshot.state).keeping(&decided.kept);
        self.writer.journal.commit(&batch)?;
        self.note_success();
        Ok(())
    }

    fn publish(&self, decided: &Decided) {
        self.show(&decided.snapshot, [&*decided.foreign, &decided.transitions].concat(), decided.traces.clone());
    }

    /// Shows a snapshot that is the newest to readers, and what has led to it to watchers.
    fn show(&self, snapshot: &Snapshot, transitions: Vec<Arc<Transition>>, traces: Vec<(Revision, Trace)>) {
        if !transitions.is_empty() {
            self.writer.published.store(Arc::new(snapshot.clone()));
            // The other thread ends after this one.
            drop(self.news.send(Published::Changes(transitions, traces)));
        }
        self.writer.freshness.confirm();
    }

    /// Reads the whole store, and publishes it.
    fn reload(&mut self) -> Result<(), StoreError> {
        let snapshot = self.writer.journal.load()?;
        let head = snapshot.state.revision();
        self.writer.published.store(Arc::new(snapshot));
        // The other thread ends after this one.
        drop(self.news.send(Published::Unknown(head)));
        self.writer.freshness.confirm();
        Ok(())
    }

    /// Publishes what another process has written to the same store.
    fn follow_others(&mut self) -> Result<(), StoreError> {
        let mut snapshot = Snapshot::clone(&self.writer.published.load());
        let followed = match self.writer.journal.foreign_changes(&snapshot.state) {
            Ok(changes) => {
                let transitions = snapshot.state.advance(changes);
                self.show(&snapshot, transitions, Vec::new());
                Ok(())
            }
            Err(StoreError::Compacted { .. }) => self.reload(),
            Err(failure) => Err(failure),
        };
        match &followed {
            Ok(()) if self.writer.report.borrow().is_unreachable() => self.note_success(),
            // Whether a store that can be read can also be written, writes alone say.
            Err(failure @ (StoreError::Unreachable(_) | StoreError::Displaced(_))) => self.note_failure(failure),
            Err(failure) => debug!(error = failure.chain(), "the store could not be asked for news"),
            Ok(()) => {}
        }
        followed
    }

    /// Forgets some changes that are no longer to be kept, if there are as many as `least`.
    fn forget(&mut self, least: u64) {
        let head = self.writer.published.load().state.revision();
        let now = self.writer.clock.now();
        if now.duration_since(self.looked) >= LOOK_FOR_OLD {
            self.looked = now;
            match self.writer.history.revision_at(self.writer.retention.oldest(now)) {
                Ok(old) => self.old = old.unwrap_or_default(),
                Err(failure) => debug!(error = failure.chain(), "the journal could not be asked for its age"),
            }
            let before = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
            if let Err(failure) = self.writer.journal.forget_answers(before, FORGOTTEN_AT_A_TIME) {
                debug!(error = failure.chain(), "old answers could not be forgotten");
            }
        }
        let target = self.writer.retention.surplus(head).max(self.old);
        if target.0 >= self.compact_revision.0 + least {
            match self.writer.journal.compact(target, FORGOTTEN_AT_A_TIME) {
                Ok(compact_revision) => self.compact_revision = compact_revision,
                Err(failure) => debug!(error = failure.chain(), "the journal could not be compacted"),
            }
        }
    }

    fn note_success(&mut self) {
        self.failing = None;
        if *self.writer.report.borrow() != WriterHealth::Writable {
            info!("the store can be written again");
            self.writer.report.send_replace(WriterHealth::Writable);
        }
    }

    fn note_failure(&mut self, failure: &StoreError) {
        let since = self.writer.report.borrow().since().unwrap_or_else(|| self.writer.clock.now());
        self.writer.report.send_replace(WriterHealth::Failing { reason: failure.reason(), since });
        // One line for each turn for the worse, however many writes fail.
        if self.failing.as_ref().is_none_or(|logged| *logged != failure.to_string()) {
            self.failing = Some(failure.to_string());
            warn!(error = failure.chain(), "the store cannot be written");
        } else {
            debug!(error = failure.chain(), "the store still cannot be written");
        }
    }

    /// The planted bugs: the steps of [`WriterLoop::write`] in a wrong order. Returns whether that was done.
    #[cfg(feature = "planted-bugs")]
    fn writes_wrongly(&mut self, inbox: &mut CommandBatch) -> bool {
        if !(crate::failpoints::acknowledges_early() || crate::failpoints::publishes_early()) {
            return false;
        }
        let Ok((mut snapshot, foreign)) = self.begin() else { return false };
        let foreign = snapshot.state.advance(foreign);
        let batch = std::mem::take(&mut inbox.batch);
        let Ok(mut decided) = self.decide_all(snapshot, foreign, &batch) else { return false };
        self.publish(&decided);
        if crate::failpoints::publishes_early() {
            drop(self.commit(&decided));
        }
        for (submission, answer) in batch.into_iter().zip(std::mem::take(&mut decided.answers)) {
            submission.reply(answer.map_err(SubmitError::from));
        }
        if crate::failpoints::acknowledges_early() {
            drop(self.commit(&decided));
        }
        true
    }
}
