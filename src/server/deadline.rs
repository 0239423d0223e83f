//! A deadline that moves often and passes seldom.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is reset only when it fires, so moving the deadline with every byte costs only a comparison.
#[derive(Default)]
pub struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Ready after `at`.
    pub fn poll_passed(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        while timer.as_mut().poll(context).is_ready() {
            if at <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
        if timer.deadline() > at {
            timer.as_mut().reset(at);
            return self.poll_passed(at, context);
        }
        Poll::Pending
    }
}
