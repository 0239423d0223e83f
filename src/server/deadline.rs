//! A point in time that is set often and reached seldom.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is moved only when it fires: a deadline that is put off with every byte costs no more than a comparison.
#[derive(Default)]
pub struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Ready once `at` has passed.
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
