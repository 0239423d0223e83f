//! The one writer: decides waiting commands in order, commits them as one batch, publishes.
//!
//! It lives on a thread of its own, because a commit waits for the disk. While it waits, commands
//! gather; the next batch takes them all, so that the price of durability is paid once for many.
//!
//! Nothing is published or answered before the commit has returned. State is persistent, so a
//! batch that could not be committed is undone by forgetting the state that it had led to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tracing::{debug, error, info, warn};

use super::change::Change;
use super::command::{Outcome, Refusal, Request, SubmitError};
use super::decide::decide;
use super::handle::{Snapshot, WriterHealth};
use super::retention::Retention;
use super::revision::Revision;
use super::transition::Transition;
use super::vet::Vetted;
use super::watch::Topics;
use crate::clock::Clock;
use crate::store::{Batch, History, Journal, StoreError};

/// The most commands that one commit takes.
const MAX_BATCH: usize = 1024;

/// How often an idle writer looks whether another process has written.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(500);

/// How many changes are forgotten at a time: few enough to take no longer than a commit, and enough
/// that it is seldom done between two commits.
const FORGOTTEN_AT_A_TIME: usize = 1_000;

/// How often it is asked which changes have become too old.
const LOOK_FOR_OLD: SignedDuration = SignedDuration::from_mins(1);

/// A command on its way to the writer.
pub(super) struct Submission {
    pub request: Arc<Request>,
    pub vetted: Option<Vetted>,
    pub answer: oneshot::Sender<Result<Outcome, SubmitError>>,
    /// The place in the queue, given back with the answer.
    pub _place: OwnedSemaphorePermit,
}

impl Submission {
    fn reply(self, answer: Result<Outcome, SubmitError>) {
        // Nobody may be waiting any more: the client has gone away.
        drop(self.answer.send(answer));
    }
}

/// What reaches the writer.
pub(super) enum Message {
    /// Do a command.
    Submit(Submission),
    /// Finish what came before this, close the store, and end.
    Stop,
}

/// What the writer works with.
pub(super) struct Writer {
    pub journal: Box<dyn Journal>,
    pub history: Arc<dyn History>,
    pub clock: Arc<dyn Clock>,
    pub published: Arc<ArcSwap<Snapshot>>,
    pub report: watch::Sender<WriterHealth>,
    pub topics: Arc<Topics>,
    pub retention: Retention,
}

/// Starts the writer on a thread of its own; it ends at [`Message::Stop`].
pub(super) fn start(writer: Writer, messages: Receiver<Message>) -> Result<JoinHandle<()>, StoreError> {
    // Waking thousands of watchers takes a while, and is not for the writer to wait for.
    let (news, filed) = std::sync::mpsc::channel();
    let topics = Arc::clone(&writer.topics);
    let filing = spawn("watch", move || filed.iter().for_each(|transitions: News| topics.file(&transitions)))?;
    spawn("writer", move || {
        let mut running =
            Running { writer, news, old: Revision::default(), looked: Timestamp::MIN, horizon: Revision::default() };
        running.run(&messages);
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

/// Changes that were published together.
type News = Vec<Arc<Transition>>;

/// The writer at work.
struct Running {
    writer: Writer,
    news: Sender<News>,
    /// The newest revision that was too old when it was asked last.
    old: Revision,
    /// When that was.
    looked: Timestamp,
    /// After which revision every change is kept, as far as is known.
    horizon: Revision,
}

/// A batch as decided, on top of what others have written.
struct Decided {
    /// The snapshot to be published.
    snapshot: Snapshot,
    /// What others have written.
    foreign: News,
    /// The changes to be committed.
    transitions: News,
    /// What each submission will be told.
    answers: Vec<Result<Outcome, Refusal>>,
}

impl Running {
    fn run(&mut self, messages: &Receiver<Message>) {
        let mut stopped = false;
        while !stopped {
            let first = match messages.recv_timeout(LOOK_FOR_OTHERS) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.follow_others();
                    self.forget(1);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut batch = Vec::new();
            for message in std::iter::once(first).chain(messages.try_iter()).take(MAX_BATCH) {
                match message {
                    Message::Submit(submission) => batch.push(submission),
                    Message::Stop => stopped = true,
                }
            }
            self.write(batch);
            self.forget(FORGOTTEN_AT_A_TIME as u64);
        }
    }

    /// Decides, commits, publishes, answers: in this order.
    fn write(&mut self, batch: Vec<Submission>) {
        #[cfg(feature = "planted-bugs")]
        let Some(batch) = self.write_wrongly(batch) else { return };
        let written = catch_unwind(AssertUnwindSafe(|| {
            let decided = self.decide(&batch)?;
            self.commit(&decided)?;
            self.publish(&decided);
            Ok(decided.answers)
        }));
        let answers = match written {
            Ok(Ok(answers)) => answers.into_iter().map(|answer| answer.map_err(SubmitError::from)).collect(),
            Ok(Err(failure)) => {
                self.writer.journal.roll_back();
                self.note_failure(&failure);
                let unavailable = SubmitError::StoreUnavailable { reason: failure.reason() };
                vec![Err(unavailable); batch.len()]
            }
            Err(_panic) => {
                self.writer.journal.roll_back();
                error!("the writer panicked; the batch was not written");
                vec![Err(SubmitError::WriterFailed); batch.len()]
            }
        };
        for (submission, answer) in batch.into_iter().zip::<Vec<_>>(answers) {
            submission.reply(answer);
        }
    }

    /// Takes the store's lock and decides the batch on the newest state.
    fn decide(&mut self, batch: &[Submission]) -> Result<Decided, StoreError> {
        let mut snapshot = Snapshot::clone(&self.writer.published.load());
        let foreign = self.writer.journal.begin(snapshot.state.revision())?;
        let foreign = snapshot.state.advance(foreign);
        // The clock of the machine may have been set back; the journal's never goes back.
        let at = self.writer.clock.now().max(snapshot.state.at());
        let mut transitions = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        for Submission { request, vetted, .. } in batch {
            let answer = decide(&snapshot.state, &snapshot.store, request, vetted.as_ref()).map(|decision| {
                let before = decision.subject.as_ref().and_then(|id| snapshot.state.revision_of(id));
                if let Some(event) = decision.event {
                    let revision = snapshot.state.revision().next();
                    let change = Change { revision, at, request_id: request.request_id.clone(), event };
                    transitions.extend(snapshot.state.advance([change]));
                }
                let record = decision.subject.and_then(|id| snapshot.state.plugin(id.as_str()).cloned());
                let created = before.is_none() && record.is_some();
                Outcome { state: snapshot.state.clone(), record, created }
            });
            answers.push(answer);
        }
        Ok(Decided { snapshot, foreign, transitions, answers })
    }

    fn commit(&mut self, decided: &Decided) -> Result<(), StoreError> {
        if decided.transitions.is_empty() {
            self.writer.journal.roll_back();
            return Ok(());
        }
        self.writer.journal.commit(&Batch::new(&decided.transitions, &decided.snapshot.state))?;
        self.note_success();
        Ok(())
    }

    fn publish(&self, decided: &Decided) {
        self.show(&decided.snapshot, [&*decided.foreign, &decided.transitions].concat());
    }

    /// Shows a snapshot to readers, and what has led to it to watchers.
    fn show(&self, snapshot: &Snapshot, transitions: News) {
        if !transitions.is_empty() {
            self.writer.published.store(Arc::new(snapshot.clone()));
            // The other thread ends after this one.
            drop(self.news.send(transitions));
        }
    }

    /// Publishes what another process has written to the same store.
    fn follow_others(&mut self) {
        let known = self.writer.published.load().state.revision();
        match self.writer.journal.foreign_changes(known) {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => {
                let mut snapshot = Snapshot::clone(&self.writer.published.load());
                let transitions = snapshot.state.advance(changes);
                self.show(&snapshot, transitions);
            }
            // Writes, and only they, say whether the store can be written.
            Err(failure) => debug!(error = failure.chain(), "the store could not be asked for news"),
        }
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
        }
        let target = self.writer.retention.surplus(head).max(self.old);
        if target.0 >= self.horizon.0 + least {
            match self.writer.journal.compact(target, FORGOTTEN_AT_A_TIME) {
                Ok(horizon) => self.horizon = horizon,
                Err(failure) => debug!(error = failure.chain(), "the journal could not be compacted"),
            }
        }
    }

    fn note_success(&self) {
        if *self.writer.report.borrow() != WriterHealth::Writable {
            info!("the store can be written again");
            self.writer.report.send_replace(WriterHealth::Writable);
        }
    }

    fn note_failure(&self, failure: &StoreError) {
        let is_news = self.writer.report.send_if_modified(|health| match health {
            WriterHealth::Failing { reason, .. } if *reason == failure.reason() => false,
            WriterHealth::Failing { reason, .. } => {
                *reason = failure.reason();
                true
            }
            WriterHealth::Writable => {
                *health = WriterHealth::Failing { reason: failure.reason(), since: self.writer.clock.now() };
                true
            }
        });
        // One line for each turn for the worse, however many writes fail.
        if is_news {
            warn!(error = failure.chain(), "the store cannot be written");
        } else {
            debug!(error = failure.chain(), "the store still cannot be written");
        }
    }

    /// The planted bugs: the steps of [`Running::write`] in a wrong order.
    #[cfg(feature = "planted-bugs")]
    fn write_wrongly(&mut self, batch: Vec<Submission>) -> Option<Vec<Submission>> {
        if !(crate::planted::acknowledges_early() || crate::planted::publishes_early()) {
            return Some(batch);
        }
        let Ok(mut decided) = self.decide(&batch) else { return Some(batch) };
        self.publish(&decided);
        if crate::planted::publishes_early() {
            drop(self.commit(&decided));
        }
        for (submission, answer) in batch.into_iter().zip(std::mem::take(&mut decided.answers)) {
            submission.reply(answer.map_err(SubmitError::from));
        }
        if crate::planted::acknowledges_early() {
            drop(self.commit(&decided));
        }
        None
    }
}
