//! The messages to the writer, and the batches that it makes of them.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::submit_error::SubmitError;
use super::trace::CommandTrace;
use domain::command::schema_question::CheckedSchema;
use domain::command::{Outcome, Request};

/// The maximum number of commands in a commit.
const MAX_BATCH: usize = 1024;

/// A command in the queue.
pub(super) struct Submission {
    pub request: Arc<Request>,
    pub checked: Option<CheckedSchema>,
    pub answer: oneshot::Sender<Result<Outcome, SubmitError>>,
    /// Its part in the trace of its request.
    pub traced: Option<CommandTrace>,
    /// The permit of its place in the queue, returned with the reply.
    pub _place: OwnedSemaphorePermit,
}

impl Submission {
    /// Sends the reply.
    pub fn reply(self, answer: Result<Outcome, SubmitError>) {
        // The client may have disconnected.
        drop(self.answer.send(answer));
    }
}

/// A message to the writer.
pub(super) enum WriterMessage {
    /// Do a command.
    Submit(Submission),
    /// Publish the changes that other processes committed before this message, and report the result.
    CatchUp(oneshot::Sender<Result<(), SubmitError>>),
    /// Other processes may have written.
    News,
    /// Finish all earlier messages, close the store, and end.
    Stop,
}

/// A batch of messages.
#[derive(Default)]
pub(super) struct CommandBatch {
    pub batch: Vec<Submission>,
    pub catching_up: Vec<oneshot::Sender<Result<(), SubmitError>>>,
    pub is_stop: bool,
}

impl CommandBatch {
    /// Adds a message.
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

    /// Adds waiting messages, up to the maximum of a commit.
    pub fn fill(&mut self, messages: &Receiver<WriterMessage>) {
        while self.batch.len() < MAX_BATCH
            && let Ok(message) = messages.try_recv()
        {
            self.take(message);
        }
    }

    /// Replies to all senders that their commands were not done.
    pub fn refuse(self, why: &SubmitError) {
        for submission in self.batch {
            submission.reply(Err(why.clone()));
        }
        for answer in self.catching_up {
            // The receiver may have gone.
            drop(answer.send(Err(why.clone())));
        }
    }
}
