//! Threads for the long work of clients, apart from everything that the registry does by itself.
//!
//! A scan of all plugins may take seconds. On the threads that also refresh tokens, sweep leases and read the journal
//! for webhooks, a few hundred scans of one viewer would stop all of that. So long work has threads of its own, and
//! takes turns there:
//!
//! - The number of turns is one less than that of processors, so that one processor is left to the rest.
//! - Callers get a turn one after the other, however much work each of them has sent. A turn ends after [`threads::SLICE`] if
//!   another caller waits; the work goes on at the caller's next turn.
//! - At most [`schedule::SHARING`] pieces of work beyond the turns have begun. If all began at once, all would end too late.
//! - The queue is bounded. When it is full, the caller with the most waiting work loses its newest piece.
//! - Work whose future is dropped stops: at once while it waits, and at its next step while it runs.

mod schedule;
mod threads;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

pub use schedule::{WorkCaller, WorkCounts};
use threads::{Inner, Work};
pub use threads::{Stopped, StoreTurn, Turn, WorkError};

/// How many pieces of work wait, of all callers together.
const QUEUE: usize = 256;

/// How long closing waits for work to reach its next step.
const CLOSING: Duration = Duration::from_secs(2);

/// The threads, and the work that waits for them.
#[derive(Debug)]
pub struct FairPool(Arc<Inner>);

struct Answered<F, T> {
    work: F,
    answer: oneshot::Sender<Result<T, WorkError>>,
}

impl<F, T> Work for Answered<F, T>
where
    F: FnOnce(&Turn<'_>) -> Result<T, Stopped> + Send,
    T: Send,
{
    fn run(self: Box<Self>, turn: &Turn<'_>) -> bool {
        let Answered { work, answer } = *self;
        let Ok(found) = work(turn) else { return false };
        // The caller may have left at the last moment.
        answer.send(Ok(found)).is_ok()
    }

    fn refuse(self: Box<Self>) {
        drop(self.answer.send(Err(WorkError::Full)));
    }
}

impl FairPool {
    /// A pool with one turn less than this machine has processors, and at least one. It starts threads when there is
    /// work.
    pub fn new(name: &'static str) -> FairPool {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        FairPool::with(name, processors.saturating_sub(1).max(1), QUEUE)
    }

    fn with(name: &'static str, turns: usize, queue: usize) -> FairPool {
        FairPool(Arc::new(Inner {
            name,
            turns,
            queue,
            schedule: Mutex::default(),
            granted: Condvar::new(),
            ended: Condvar::new(),
            is_closed: AtomicBool::new(false),
        }))
    }

    /// Does work when it is the caller's turn. The work reports its steps to the [`Turn`]. Dropping the future stops
    /// the work.
    ///
    /// # Errors
    ///
    /// If too much work waits, or the work panicked, or the pool is closed.
    pub async fn run<T: Send + 'static>(
        &self,
        caller: WorkCaller,
        work: impl FnOnce(&Turn<'_>) -> Result<T, Stopped> + Send + 'static,
    ) -> Result<T, WorkError> {
        let (answer, answered) = oneshot::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let id = self.0.enqueue(&caller, Box::new(Answered { work, answer }), Arc::clone(&stop))?;
        let _stops = StopWhenDropped { pool: &self.0, caller, id, stop };
        answered.await.unwrap_or(Err(WorkError::Failed))
    }

    /// The counts for the metrics.
    pub fn counts(&self) -> WorkCounts {
        self.0.schedule().counts
    }

    /// Takes no more work, and stops all. Waits for a moment until the running work has reached its next step, so that
    /// none of it still reads the store when the store is closed.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Relaxed);
        let mut schedule = self.0.schedule();
        let waiting: Vec<_> = schedule.callers.values_mut().flat_map(|caller| caller.jobs.drain(..)).collect();
        let starting = std::mem::take(&mut schedule.starting);
        for (caller, _) in &starting {
            schedule.end(caller);
        }
        schedule.counts.waiting = 0;
        schedule.grant(self.0.turns);
        self.0.granted.notify_all();
        let until = Instant::now() + CLOSING;
        while schedule.counts.begun > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(pool = self.0.name, "work goes on although its pool is closed");
                break;
            }
            let waited = self.0.ended.wait_timeout(schedule, left).unwrap_or_else(PoisonError::into_inner);
            schedule = waited.0;
        }
        drop(schedule);
        // The senders of their answers are dropped without the lock.
        drop((waiting, starting));
    }
}

impl Drop for FairPool {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Relaxed);
        self.0.granted.notify_all();
    }
}

/// Stops a piece of work when its future is dropped.
struct StopWhenDropped<'a> {
    pool: &'a Inner,
    caller: WorkCaller,
    id: u64,
    stop: Arc<AtomicBool>,
}

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        // After the end of the work, this changes nothing.
        self.stop.store(true, Ordering::Relaxed);
        let waiting = self.pool.schedule().take_waiting(&self.caller, self.id);
        // What the work holds is dropped without the lock.
        drop(waiting);
    }
}

#[cfg(test)]
mod tests;
