//! The one writer: decides waiting commands in order, commits them as one batch, publishes.
//!
//! It lives on a thread of its own, because a commit waits for the disk. While it waits, commands
//! gather; the next batch takes them all, so that the price of durability is paid once for many.
//!
//! Nothing is published or answered before the commit has returned. State is persistent, so a
//! batch that could not be committed is undone by forgetting the state that it had led to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tracing::{debug, error, info, warn};

use super::change::Change;
use super::command::{Outcome, Refusal, Request, SubmitError};
use super::decide::decide;
use super::handle::{Snapshot, WriterHealth};
use super::vet::Vetted;
use crate::clock::Clock;
use crate::store::{Batch, Journal, StoreError};

/// The most commands that one commit takes.
const MAX_BATCH: usize = 1024;

/// How often an idle writer looks whether another process has written.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(500);

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

/// Starts the writer on a thread of its own; it ends at [`Message::Stop`].
pub(super) fn start(
    journal: Box<dyn Journal>,
    clock: Arc<dyn Clock>,
    published: Arc<ArcSwap<Snapshot>>,
    messages: Receiver<Message>,
    report: watch::Sender<WriterHealth>,
) -> Result<JoinHandle<()>, StoreError> {
    let mut writer = Writer { journal, clock, published, report };
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || {
            writer.run(&messages);
            writer.journal.close();
        })
        .map_err(|error| StoreError::unusable("the writer's thread cannot be started", error))
}

struct Writer {
    journal: Box<dyn Journal>,
    clock: Arc<dyn Clock>,
    published: Arc<ArcSwap<Snapshot>>,
    report: watch::Sender<WriterHealth>,
}

/// A batch as decided, on top of what others have written.
struct Decided {
    /// The snapshot to be published.
    snapshot: Snapshot,
    /// Whether it differs from the published one.
    moved: bool,
    /// The changes to be committed.
    changes: Vec<Change>,
    /// What each submission will be told.
    answers: Vec<Result<Outcome, Refusal>>,
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>) {
        let mut stopped = false;
        while !stopped {
            let first = match messages.recv_timeout(LOOK_FOR_OTHERS) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.follow_others();
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
                self.journal.roll_back();
                self.note_failure(&failure);
                let unavailable = SubmitError::StoreUnavailable { reason: failure.reason() };
                vec![Err(unavailable); batch.len()]
            }
            Err(_panic) => {
                self.journal.roll_back();
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
        let mut snapshot = Snapshot::clone(&self.published.load());
        let foreign = self.journal.begin(snapshot.state.revision())?;
        for change in &foreign {
            snapshot.state.apply(change);
        }
        // The clock of the machine may have been set back; the journal's never goes back.
        let at = self.clock.now().max(snapshot.state.at());
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        for Submission { request, vetted, .. } in batch {
            let answer = decide(&snapshot.state, &snapshot.store, request, vetted.as_ref()).map(|decision| {
                let before = decision.subject.as_ref().and_then(|id| snapshot.state.revision_of(id));
                if let Some(event) = decision.event {
                    let revision = snapshot.state.revision().next();
                    let change = Change { revision, at, request_id: request.request_id.clone(), event };
                    snapshot.state.apply(&change);
                    changes.push(change);
                }
                let record = decision.subject.and_then(|id| snapshot.state.plugin(id.as_str()).cloned());
                let created = before.is_none() && record.is_some();
                Outcome { state: snapshot.state.clone(), record, created }
            });
            answers.push(answer);
        }
        let moved = !(foreign.is_empty() && changes.is_empty());
        Ok(Decided { snapshot, moved, changes, answers })
    }

    fn commit(&mut self, decided: &Decided) -> Result<(), StoreError> {
        if decided.changes.is_empty() {
            self.journal.roll_back();
            return Ok(());
        }
        self.journal.commit(&Batch::new(&decided.changes, &decided.snapshot.state))?;
        self.note_success();
        Ok(())
    }

    fn publish(&self, decided: &Decided) {
        if decided.moved {
            self.published.store(Arc::new(decided.snapshot.clone()));
        }
    }

    /// Publishes what another process has written to the same store.
    fn follow_others(&mut self) {
        let known = self.published.load().state.revision();
        match self.journal.foreign_changes(known) {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => {
                let mut snapshot = Snapshot::clone(&self.published.load());
                for change in &changes {
                    snapshot.state.apply(change);
                }
                self.published.store(Arc::new(snapshot));
            }
            // Writes, and only they, say whether the store can be written.
            Err(failure) => debug!(error = failure.chain(), "the store could not be asked for news"),
        }
    }

    fn note_success(&self) {
        if *self.report.borrow() != WriterHealth::Writable {
            info!("the store can be written again");
            self.report.send_replace(WriterHealth::Writable);
        }
    }

    fn note_failure(&self, failure: &StoreError) {
        let is_news = self.report.send_if_modified(|health| match health {
            WriterHealth::Failing { reason, .. } if *reason == failure.reason() => false,
            WriterHealth::Failing { reason, .. } => {
                *reason = failure.reason();
                true
            }
            WriterHealth::Writable => {
                *health = WriterHealth::Failing { reason: failure.reason(), since: self.clock.now() };
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

    /// The planted bugs: the steps of [`Writer::write`] in a wrong order.
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
