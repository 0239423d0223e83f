//! The threads of the pool, and what a piece of work may do in its turn.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::schedule::{Job, Parked, Schedule, WorkCaller};
use crate::store::StoreError;
use domain::query::Pace;

/// How long a turn lasts while others wait.
pub(super) const SLICE: Duration = Duration::from_millis(10);

/// How many bytes a piece of work reads before it looks at the clock. This takes far less than a slice.
pub(super) const STEP: usize = 64 << 10;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// Too much work waits already.
    #[error("too many long reads wait for their turn; send the request again later")]
    Full,
    /// The work panicked, or the pool is closed.
    #[error("the work ended without a result")]
    Failed,
}

/// The work was stopped: its caller has gone, or the pool is closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// What a piece of work does, whatever its result is.
pub(super) trait Work: Send {
    /// Does the work, and sends its result. Returns whether it came to its end.
    fn run(self: Box<Self>, turn: &Turn<'_>) -> bool;

    /// Reports that there was no room for it.
    fn refuse(self: Box<Self>);
}

impl std::fmt::Debug for dyn Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) name: &'static str,
    pub(super) turns: usize,
    pub(super) queue: usize,
    pub(super) schedule: Mutex<Schedule<Box<dyn Work>>>,
    /// Wakes idle threads.
    pub(super) granted: Condvar,
    /// Wakes the thread that closes the pool when work ends.
    pub(super) ended: Condvar,
    pub(super) is_closed: AtomicBool,
}

impl Inner {
    pub(super) fn schedule(&self) -> MutexGuard<'_, Schedule<Box<dyn Work>>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enqueue(
        self: &Arc<Self>,
        caller: &WorkCaller,
        work: Box<dyn Work>,
        stop: Arc<AtomicBool>,
    ) -> Result<u64, WorkError> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(WorkError::Failed);
        }
        let mut schedule = self.schedule();
        schedule.last_id += 1;
        let id = schedule.last_id;
        schedule.callers.entry(caller.clone()).or_default().jobs.push_back(Job { id, work, stop });
        schedule.list(caller);
        schedule.counts.waiting += 1;
        self.start_granted(&mut schedule);
        let surplus = if schedule.counts.waiting > self.queue { schedule.take_surplus() } else { None };
        drop(schedule);
        match surplus {
            Some(surplus) if surplus.id == id => return Err(WorkError::Full),
            Some(surplus) => surplus.work.refuse(),
            None => {}
        }
        Ok(id)
    }

    /// Gives out the free turns, and sees that the work that got one has a thread.
    fn start_granted(self: &Arc<Self>, schedule: &mut Schedule<Box<dyn Work>>) {
        schedule.grant(self.turns);
        while schedule.starting.len() > schedule.idle_threads {
            let pool = Arc::clone(self);
            let started = std::thread::Builder::new().name(self.name.into()).spawn(move || pool.work());
            if let Err(error) = started {
                tracing::error!(%error, pool = self.name, "no thread can be started for a long read");
                // It must give its turn back: threads with other work may wait for it.
                if let Some((caller, _)) = schedule.starting.pop_back() {
                    schedule.end(&caller);
                }
                schedule.grant(self.turns);
                continue;
            }
            // Until the thread takes its work, it counts as one that waits for it.
            schedule.idle_threads += 1;
        }
        if !schedule.starting.is_empty() {
            self.granted.notify_all();
        }
    }

    /// A thread's life: it does the work that gets a turn, until there is none for a while.
    fn work(self: Arc<Self>) {
        let mut schedule = self.schedule();
        loop {
            if let Some((caller, job)) = schedule.starting.pop_front() {
                schedule.idle_threads -= 1;
                drop(schedule);
                let is_done = self.run(&caller, job);
                schedule = self.schedule();
                if is_done {
                    schedule.counts.done += 1;
                } else {
                    schedule.counts.stopped += 1;
                }
                schedule.end(&caller);
                schedule.idle_threads += 1;
                self.ended.notify_all();
                self.start_granted(&mut schedule);
                continue;
            }
            if self.is_closed.load(Ordering::Relaxed) {
                break;
            }
            let (waited, timeout) = self.granted.wait_timeout(schedule, IDLE).unwrap_or_else(PoisonError::into_inner);
            schedule = waited;
            if timeout.timed_out() && schedule.starting.is_empty() {
                break;
            }
        }
        schedule.idle_threads -= 1;
    }

    fn run(self: &Arc<Self>, caller: &WorkCaller, job: Job<Box<dyn Work>>) -> bool {
        let Job { work, stop, .. } = job;
        let turn = Turn { pool: self, caller, stop, began: Cell::new(Instant::now()), read: Cell::new(0) };
        // The panic hook has written the message; the caller sees that there is no answer.
        turn.look().is_ok() && catch_unwind(AssertUnwindSafe(|| work.run(&turn))).unwrap_or(false)
    }
}

/// The turn of a piece of work. The work reports what it has read.
#[derive(Debug)]
pub struct Turn<'a> {
    pool: &'a Arc<Inner>,
    caller: &'a WorkCaller,
    stop: Arc<AtomicBool>,
    /// When the turn began.
    began: Cell<Instant>,
    /// The bytes read since the last look at the clock.
    read: Cell<usize>,
}

impl Pace for Turn<'_> {
    type Stop = Stopped;

    fn step(&self, bytes: usize) -> Result<(), Stopped> {
        if !self.adds_up_to_a_step(bytes) {
            return Ok(());
        }
        self.look()?;
        if self.began.get().elapsed() >= SLICE {
            self.pass_on();
            self.look()?;
        }
        Ok(())
    }
}

impl<'a> Turn<'a> {
    /// The pace of a read from the store. Such a read stops like all work. It keeps its turn, because others must not
    /// wait for the transaction of work that waits.
    pub fn of_store(&'a self) -> StoreTurn<'a> {
        StoreTurn(self)
    }

    fn adds_up_to_a_step(&self, bytes: usize) -> bool {
        let read = self.read.get().saturating_add(bytes);
        self.read.set(if read >= STEP { 0 } else { read });
        read >= STEP
    }

    fn look(&self) -> Result<(), Stopped> {
        let is_stopped = self.stop.load(Ordering::Relaxed) || self.pool.is_closed.load(Ordering::Relaxed);
        if is_stopped { Err(Stopped) } else { Ok(()) }
    }

    /// Lets the next caller have the turn, and waits for another one.
    fn pass_on(&self) {
        let mut schedule = self.pool.schedule();
        if !schedule.order.is_empty() {
            let parked = Arc::new(Parked::default());
            if let Some(work) = schedule.callers.get_mut(self.caller) {
                work.parked.push_back(Arc::clone(&parked));
            }
            schedule.list(self.caller);
            schedule.taken -= 1;
            self.pool.start_granted(&mut schedule);
            while !parked.has_turn.load(Ordering::Relaxed) {
                schedule = parked.woken.wait(schedule).unwrap_or_else(PoisonError::into_inner);
            }
        }
        drop(schedule);
        self.began.set(Instant::now());
    }
}

/// The turn of work that reads from the store.
#[derive(Debug)]
pub struct StoreTurn<'a>(&'a Turn<'a>);

impl Pace for StoreTurn<'_> {
    type Stop = StoreError;

    fn step(&self, bytes: usize) -> Result<(), StoreError> {
        if self.0.adds_up_to_a_step(bytes) { self.0.look().map_err(|Stopped| StoreError::Stopped) } else { Ok(()) }
    }
}
