//! What reaches the writer, and what of it is worked on together.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::submit_error::SubmitError;
use super::trace::CommandTrace;
use domain::command::schema_question::CheckedSchema;
use domain::command::{Outcome, Request};

/// The most commands that one commit takes.
const MAX_BATCH: usize = 1024;

/// A command on its way to the writer.
pub(super) struct Submission {
    pub request: Arc<Request>,
    pub checked: Option<CheckedSchema>,
    pub answer: oneshot::Sender<Result<Outcome, SubmitError>>,
    /// Its part in the trace of the request that it came with.
    pub traced: Option<CommandTrace>,
    /// The place in the queue, given back with the answer.
    pub _place: OwnedSemaphorePermit,
}

impl Submission {
    /// Answers it.
    pub fn reply(self, answer: Result<Outcome, SubmitError>) {
        // Nobody may be waiting any more: the client has gone away.
        drop(self.answer.send(answer));
    }
}

/// What reaches the writer.
pub(super) enum WriterMessage {
    /// Do a command.
    Submit(Submission),
    /// Publish what others have written before this was sent, and tell whether that could be done.
    CatchUp(oneshot::Sender<Result<(), SubmitError>>),
    /// Others may have written.
    News,
    /// Finish what came before this, close the store, and end.
    Stop,
}

/// Messages that are worked on together.
#[derive(Default)]
pub(super) struct CommandBatch {
    pub batch: Vec<Submission>,
    pub catching_up: Vec<oneshot::Sender<Result<(), SubmitError>>>,
    pub is_stop: bool,
}

impl CommandBatch {
    /// Takes a message.
    pub fn take(&mut self, message: WriterMessage) {
        match message {
            WriterMessage::Submit(mut submission) => {
                if let Some(traced) = &mut submission.traced {
                    traced.taken();
                }
                self.batch.push(submission);
            }
            WriterMessage::CatchUp(answer) => self.catching_up.push(answer),
            WriterMessage::News => {}
            WriterMessage::Stop => self.is_stop = true,
        }
    }

    /// Takes what waits, as far as one commit takes it.
    pub fn fill(&mut self, messages: &Receiver<WriterMessage>) {
        while self.batch.len() < MAX_BATCH
            && let Ok(message) = messages.try_recv()
        {
            self.take(message);
        }
    }

    /// Tells everybody that nothing was done.
    pub fn refuse(self, why: &SubmitError) {
        for submission in self.batch {
            submission.reply(Err(why.clone()));
        }
        for answer in self.catching_up {
            // Nobody may be waiting any more.
            drop(answer.send(Err(why.clone())));
        }
    }
}
