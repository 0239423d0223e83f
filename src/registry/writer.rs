//! The one writer: decides waiting commands in order, commits them as one batch, publishes.
//!
//! It has its own thread, because a commit waits for the disk. Meanwhile commands gather, and the next batch takes all
//! of them, so that many commands share the cost of one sync.
//!
//! The writer publishes and acknowledges nothing before the commit has returned. State is persistent: to undo a failed
//! batch, the writer drops the resulting state. The writer shares a snapshot only after a whole batch, so commands
//! within a batch mutate in place.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::aging::DayOld;
use super::clock_watch::ClockWatch;
use super::forgetting::{FORGOTTEN_AT_A_TIME, Forgetting};
use super::freshness::Freshness;
use super::health::WriterHealth;
use super::heartbeats::Heartbeats;
use super::metrics::RegistryMetrics;
use super::queue::{CommandBatch, Submission, WriterMessage};
use super::submit_error::SubmitError;
use super::trace::{self, BatchSummary};
use super::watch::EventPublisher;
use crate::clock::Clock;
use crate::store::{Batch, Journal, StoreError};
use crate::telemetry::Trace;
use domain::change::retention::Retention;
use domain::change::{Change, Transition};
use domain::command::decide::{decide, require_right_to_repeat};
use domain::command::idempotency::KeptAnswer;
use domain::command::quota::Quotas;
use domain::command::{Command, Outcome, Refusal};
use domain::{Revision, Snapshot, State};

/// The maximum number of batches that wait to be published to topics. Beyond it the writer waits, which bounds their
/// memory.
const UNFILED: usize = 64;

/// How often an idle writer checks whether another process has written.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(500);

/// A writer that committed this recently will probably commit again soon, and then reads the changes of others anyway.
const SOON: Duration = Duration::from_millis(10);

/// The first and the maximum pause before the store is loaded again after a failure.
const LOAD_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_LOAD_PAUSE: Duration = Duration::from_secs(30);

/// The writer's parts.
pub(super) struct Writer {
    pub journal: Box<dyn Journal>,
    pub clock: Arc<dyn Clock>,
    pub published: Arc<ArcSwap<Snapshot>>,
    pub report: watch::Sender<WriterHealth>,
    pub topics: Arc<EventPublisher>,
    pub retention: Retention,
    pub clocks: Arc<ClockWatch>,
    pub heartbeats: Arc<Heartbeats>,
    pub day_old: DayOld,
    pub quotas: Quotas,
    pub freshness: Arc<Freshness>,
    pub measures: RegistryMetrics,
}

/// Starts the writer on its own thread; it ends at [`WriterMessage::Stop`].
pub(super) fn start(writer: Writer, messages: Receiver<WriterMessage>) -> Result<JoinHandle<()>, StoreError> {
    // Waking thousands of watchers takes time, so another thread does it.
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
    let (quota, dropped) = (writer.quotas.answers, writer.measures.dropped_answers.clone());
    let now = writer.clocks.steady();
    let forgetting = Forgetting::new(writer.retention, now, writer.day_old.clone(), quota, dropped);
    spawn("writer", move || {
        let mut running = WriterLoop { writer, news, forgetting, failing: None, wrote: None };
        if running.load(&messages) {
            running.run(&messages);
        }
        running.writer.journal.close();
        drop(running);
        if filing.join().is_err() {
            error!("the thread that publishes changes panicked");
        }
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|error| StoreError::unusable(format!("the {name} thread cannot be started"), error))
}

/// A publication.
enum Published {
    /// The changes, and the traces of those that requests of this process made.
    Changes(Vec<Arc<Transition>>, Vec<(Revision, Trace)>),
    /// A state loaded as a whole: the changes before it are unknown.
    Unknown(Revision),
}

/// The writer's loop.
struct WriterLoop {
    writer: Writer,
    news: SyncSender<Published>,
    /// Drops what is too old.
    forgetting: Forgetting,
    /// The last logged failure of the store, while it lasts.
    failing: Option<String>,
    /// When the last batch ended.
    wrote: Option<Instant>,
}

/// A decided batch, on top of the changes of other processes.
struct Decided {
    /// The snapshot to publish.
    snapshot: Snapshot,
    /// The changes of other processes.
    foreign: Vec<Arc<Transition>>,
    /// The changes to commit.
    transitions: Vec<Arc<Transition>>,
    /// The traces of the requests that made these changes.
    traces: Vec<(Revision, Trace)>,
    /// The responses to store.
    kept: Vec<KeptAnswer>,
    /// The answer for each submission.
    answers: Vec<Result<Outcome, Refusal>>,
}

impl WriterLoop {
    /// Loads the store if that failed at the start, with as many attempts as needed. Returns false if the writer must
    /// stop.
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
                        inbox.refuse(&SubmitError::StoreUnavailable { reason: "it has not been loaded yet" });
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            pause = (pause * 2).min(LONGEST_LOAD_PAUSE);
            match self.reload() {
                Ok(()) => {
                    info!(revision = %self.writer.published.load().state.revision(), "loaded the store");
                    self.writer.report.send_replace(WriterHealth::Writable);
                }
                Err(failure) => {
                    warn!(error = failure.chain(), "the store cannot be read yet; the next attempt follows");
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
                    // The next check retries.
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
                self.grow_old();
                let answer = followed.map_err(|failure| SubmitError::StoreUnavailable { reason: failure.reason() });
                for waiting in inbox.catching_up {
                    // The receiver may have gone.
                    drop(waiting.send(answer.clone()));
                }
                stopped = inbox.is_stop;
            } else {
                stopped = self.write(inbox, messages);
                self.wrote = Some(Instant::now());
                self.forget(FORGOTTEN_AT_A_TIME);
            }
        }
    }

    /// Decides, commits, publishes, answers: in this order. Returns whether the writer must stop.
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
                    // The receiver may have gone.
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

    /// Measures a batch, and ends its spans. `failure` is the reason if it was not written.
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

    /// Takes the store's lock, and decides all waiting commands on the newest state.
    fn decide(&mut self, inbox: &mut CommandBatch, messages: &Receiver<WriterMessage>) -> Result<Decided, StoreError> {
        let (mut snapshot, foreign) = self.begin()?;
        let foreign = snapshot.state.advance(foreign);
        // Another process may have held the lock for a while.
        inbox.fill(messages);
        self.decide_all(snapshot, foreign, &inbox.batch)
    }

    /// Takes the store's lock; returns the published snapshot, and the changes of other processes since then.
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

    /// Decides commands one after the other, on top of a snapshot that includes `foreign`.
    fn decide_all(
        &mut self,
        mut snapshot: Snapshot,
        foreign: Vec<Arc<Transition>>,
        batch: &[Submission],
    ) -> Result<Decided, StoreError> {
        let at = self.writer.clocks.after(snapshot.state.at());
        let hour = self.forgetting.hour(self.writer.clocks.steady());
        let mut known = self.known_answers(batch, hour)?;
        let (mut transitions, mut traces, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut answers = Vec::with_capacity(batch.len());
        for Submission { request, checked, traced, .. } in batch {
            let attempt = request.attempt.as_ref();
            if let Some((attempt, first)) = attempt.and_then(|attempt| Some((attempt, known.get(&attempt.key)?))) {
                let right = require_right_to_repeat(&snapshot.state, &snapshot.store, request, checked.as_ref());
                answers.push(right.and_then(|()| first.repeat(attempt, snapshot.state.revision())));
                continue;
            }
            let answer = decide(&snapshot.state, &snapshot.store, request, checked.as_ref()).and_then(|decision| {
                #[cfg(feature = "planted-bugs")]
                let decision = crate::failpoints::forgetting(decision);
                let before = decision.subject.as_ref().and_then(|id| snapshot.state.revision_of(id));
                for event in decision.events {
                    let revision = snapshot.state.revision().next();
                    let principal = request.principal.as_ref().map(|principal| Arc::clone(&principal.name));
                    let (request_id, reason) = (request.request_id.clone(), request.reason.clone());
                    let change = Change { revision, at, request_id, principal, reason, event };
                    let made = self.make(change, &mut snapshot.state)?;
                    traces.extend(traced.as_ref().map(|traced| (revision, traced.trace.clone())));
                    transitions.push(made);
                }
                let results = decision.results.into_iter();
                let results = results.map(|done| done.map(|id| snapshot.state.revision_of(&id).unwrap_or_default()));
                let results: Vec<_> = results.collect();
                let is_of_many = matches!(request.command, Command::ReleaseMany { .. });
                let state = (decision.subject.is_none() && !is_of_many).then(|| snapshot.state.clone());
                let record = decision.subject.and_then(|id| snapshot.state.plugin(id.as_str()).cloned());
                let created = before.is_none() && record.is_some();
                Ok(Outcome { revision: snapshot.state.revision(), state, record, created, results, repeated: None })
            });
            let is_of_many = matches!(request.command, Command::ReleaseMany { .. });
            if let (Some(attempt), Ok(outcome)) = (attempt, &answer)
                && !outcome.is_refused_whole(is_of_many)
            {
                let first = KeptAnswer::of(attempt, outcome, at, hour);
                known.insert(first.key.clone(), first.clone());
                kept.push(first);
            }
            answers.push(answer);
        }
        Ok(Decided { snapshot, foreign, transitions, traces, kept, answers })
    }

    /// Applies a change, unless it would exceed a quota.
    fn make(&self, change: Change, state: &mut State) -> Result<Arc<Transition>, Refusal> {
        let step = state.plan(&change);
        self.writer.quotas.check(&change.event, &step, state)?;
        state.apply_planned(&change, &step);
        // Before the response is built, which says when the lease ends.
        self.writer.heartbeats.hear_of_lease(&change.event);
        Ok(Arc::new(Transition::new(change, step)))
    }

    /// The stored responses for retries in a batch.
    fn known_answers(&mut self, batch: &[Submission], hour: u64) -> Result<HashMap<Box<str>, KeptAnswer>, StoreError> {
        let attempts = batch.iter().filter_map(|submission| submission.request.attempt.as_ref());
        let keys: Vec<_> = attempts.map(|attempt| &*attempt.key).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let known = self.writer.journal.answers(&keys)?.into_iter().filter(|known| known.counts(hour));
        Ok(known.map(|known| (known.key.clone(), known)).collect())
    }

    fn commit(&mut self, decided: &Decided) -> Result<(), StoreError> {
        if decided.transitions.is_empty() && decided.kept.is_empty() {
            self.writer.journal.roll_back();
            return Ok(());
        }
        let batch = Batch::new(&decided.transitions, &decided.snapshot.state).keeping(&decided.kept);
        self.writer.journal.commit(&batch)?;
        self.forgetting.stored(&decided.kept);
        self.note_success();
        Ok(())
    }

    fn publish(&self, decided: &Decided) {
        self.writer.heartbeats.hear_elsewhere(&decided.foreign);
        self.show(&decided.snapshot, [&*decided.foreign, &decided.transitions].concat(), decided.traces.clone());
    }

    /// Publishes a snapshot to readers, and its changes to watchers.
    fn show(&self, snapshot: &Snapshot, transitions: Vec<Arc<Transition>>, traces: Vec<(Revision, Trace)>) {
        if !transitions.is_empty() {
            self.writer.published.store(Arc::new(snapshot.clone()));
            // The other thread ends after this one.
            drop(self.news.send(Published::Changes(transitions, traces)));
        }
        self.writer.freshness.confirm();
    }

    /// Loads the whole store, and publishes it.
    fn reload(&mut self) -> Result<(), StoreError> {
        let snapshot = self.writer.journal.load()?;
        let head = snapshot.state.revision();
        // Changes that this process has not seen may have granted leases.
        self.writer.heartbeats.begin_again();
        self.writer.published.store(Arc::new(snapshot));
        // The other thread ends after this one.
        drop(self.news.send(Published::Unknown(head)));
        self.writer.freshness.confirm();
        Ok(())
    }

    /// Publishes the changes of other processes on the same store.
    fn follow_others(&mut self) -> Result<(), StoreError> {
        let mut snapshot = Snapshot::clone(&self.writer.published.load());
        let followed = match self.writer.journal.foreign_changes(&snapshot.state) {
            Ok(changes) => {
                let transitions = snapshot.state.advance(changes);
                self.writer.heartbeats.hear_elsewhere(&transitions);
                self.show(&snapshot, transitions, Vec::new());
                Ok(())
            }
            Err(StoreError::Compacted { .. }) => self.reload(),
            Err(failure) => Err(failure),
        };
        match &followed {
            Ok(()) if self.writer.report.borrow().is_unreachable() => self.note_success(),
            // Only a write shows whether a readable store is also writable.
            Err(failure @ (StoreError::Unreachable(_) | StoreError::Displaced(_))) => self.note_failure(failure),
            Err(failure) => debug!(error = failure.chain(), "cannot check the store for new changes"),
            Ok(()) => {}
        }
        followed
    }

    /// Counts the hours of the store, and drops the stored responses that are old.
    fn grow_old(&mut self) {
        let (head, now) = (self.writer.published.load().state.revision(), self.writer.clocks.steady());
        self.forgetting.grow_old(&mut *self.writer.journal, head, now);
    }

    /// Compacts some changes that exceed the retention, if there are at least `least`.
    fn forget(&mut self, least: usize) {
        self.grow_old();
        self.forgetting.bound_answers(&mut *self.writer.journal);
        let head = self.writer.published.load().state.revision();
        self.forgetting.compact(&mut *self.writer.journal, head, least);
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
        // One line for each new failure, however many writes fail.
        if self.failing.as_ref().is_none_or(|logged| *logged != failure.to_string()) {
            self.failing = Some(failure.to_string());
            warn!(error = failure.chain(), "the store cannot be written");
        } else {
            debug!(error = failure.chain(), "the store still cannot be written");
        }
    }

    /// The planted bugs: the steps of [`WriterLoop::write`] in a wrong order. Returns whether a bug was planted.
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
