//! Threads for the long work of clients, apart from everything that the registry does by itself.
//!
//! A scan of all plugins may take seconds. On the threads that also refresh tokens, sweep leases and read the journal
//! for webhooks, a few hundred scans of one viewer would stop all of that. So long work has threads of its own, and
//! takes turns there:
//!
//! - The number of turns is one less than that of processors, so that one processor is left to the rest.
//! - Callers get a turn one after the other, however much work each of them has sent. A turn ends after [`SLICE`] if
//!   another caller waits; the work goes on at the caller's next turn.
//! - At most [`SHARING`] pieces of work beyond the turns have begun. If all began at once, all would end too late.
//! - The queue is bounded. When it is full, the caller with the most waiting work loses its newest piece.
//! - Work whose future is dropped stops: at once while it waits, and at its next step while it runs.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::store::StoreError;
use domain::query::Pace;

/// How long a turn lasts while others wait.
const SLICE: Duration = Duration::from_millis(10);

/// How many bytes a piece of work reads before it looks at the clock. This takes far less than a slice.
const STEP: usize = 64 << 10;

/// How many pieces of work, beyond the number of turns, may have begun.
const SHARING: usize = 3;

/// How many pieces of work wait, of all callers together.
const QUEUE: usize = 256;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// How long closing waits for work to reach its next step.
const CLOSING: Duration = Duration::from_secs(2);

/// Whose work it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WorkCaller {
    /// The principal of this name.
    Named(Arc<str>),
    /// A client without a token, by its address.
    At(IpAddr),
    /// A client that cannot be told from others.
    Unknown,
}

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

/// The threads, and the work that waits for them.
#[derive(Debug)]
pub struct FairPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    turns: usize,
    queue: usize,
    schedule: Mutex<Schedule>,
    /// Wakes idle threads.
    granted: Condvar,
    /// Wakes the thread that closes the pool when work ends.
    ended: Condvar,
    is_closed: AtomicBool,
}

/// How much work there is, and what became of the work before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkCounts {
    /// Pieces of work that wait for their first turn.
    pub waiting: usize,
    /// Pieces of work that have begun.
    pub begun: usize,
    /// Pieces of work that came to their end.
    pub done: u64,
    /// Pieces of work whose caller left before the end.
    pub stopped: u64,
    /// Pieces of work that found the queue full.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Schedule {
    /// The callers with waiting work, the next one first.
    order: VecDeque<WorkCaller>,
    callers: HashMap<WorkCaller, CallerWork>,
    /// Work that has a turn and waits for a thread.
    starting: VecDeque<(WorkCaller, Job)>,
    /// Turns in use.
    taken: usize,
    idle_threads: usize,
    last_id: u64,
    counts: WorkCounts,
}

/// The work of one caller.
#[derive(Debug, Default)]
struct CallerWork {
    /// Work that has not begun.
    jobs: VecDeque<Job>,
    /// Work that has begun and waits for another turn.
    parked: VecDeque<Arc<Parked>>,
    /// How many pieces of work have begun.
    begun: usize,
    /// Whether the caller is in [`Schedule::order`].
    is_listed: bool,
}

/// A thread that waits for its next turn.
#[derive(Debug, Default)]
struct Parked {
    has_turn: AtomicBool,
    woken: Condvar,
}

struct Job {
    id: u64,
    work: Box<dyn Work>,
    stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("id", &self.id).finish_non_exhaustive()
    }
}

trait Work: Send {
    /// Does the work, and sends its result. Returns whether it came to its end.
    fn run(self: Box<Self>, turn: &Turn<'_>) -> bool;

    /// Reports that there was no room for it.
    fn refuse(self: Box<Self>);
}

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
        self.0.grant(&mut schedule);
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

impl Inner {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(
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
    fn start_granted(self: &Arc<Self>, schedule: &mut Schedule) {
        self.grant(schedule);
        while schedule.starting.len() > schedule.idle_threads {
            let pool = Arc::clone(self);
            let started = std::thread::Builder::new().name(self.name.into()).spawn(move || pool.work());
            if let Err(error) = started {
                tracing::error!(%error, pool = self.name, "no thread can be started for a long read");
                // It must give its turn back: threads with other work may wait for it.
                if let Some((caller, _)) = schedule.starting.pop_back() {
                    schedule.end(&caller);
                }
                self.grant(schedule);
                continue;
            }
            // Until the thread takes its work, it counts as one that waits for it.
            schedule.idle_threads += 1;
        }
        if !schedule.starting.is_empty() {
            self.granted.notify_all();
        }
    }

    /// Gives free turns to the callers in their order: first to work that has begun.
    fn grant(&self, schedule: &mut Schedule) {
        let mut passed_over = 0;
        while schedule.taken < self.turns
            && passed_over < schedule.order.len()
            && let Some(caller) = schedule.order.pop_front()
        {
            let may_begin = schedule.counts.begun < self.turns + SHARING;
            let Some(work) = schedule.callers.get_mut(&caller) else { continue };
            if let Some(parked) = work.parked.pop_front() {
                parked.has_turn.store(true, Ordering::Relaxed);
                parked.woken.notify_one();
            } else if may_begin
                && work.begun < self.turns
                && let Some(job) = work.jobs.pop_front()
            {
                work.begun += 1;
                schedule.counts.begun += 1;
                schedule.counts.waiting -= 1;
                schedule.starting.push_back((caller.clone(), job));
            } else {
                work.is_listed = false;
                // Without work, the caller is forgotten.
                passed_over += usize::from(!work.jobs.is_empty());
                schedule.list(&caller);
                continue;
            }
            passed_over = 0;
            schedule.taken += 1;
            if let Some(work) = schedule.callers.get_mut(&caller) {
                work.is_listed = false;
            }
            schedule.list(&caller);
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

    fn run(self: &Arc<Self>, caller: &WorkCaller, job: Job) -> bool {
        let Job { work, stop, .. } = job;
        let turn = Turn { pool: self, caller, stop, began: Cell::new(Instant::now()), read: Cell::new(0) };
        // The panic hook has written the message; the caller sees that there is no answer.
        turn.look().is_ok() && catch_unwind(AssertUnwindSafe(|| work.run(&turn))).unwrap_or(false)
    }
}

impl Schedule {
    /// Puts a caller with waiting work at the end of the order, and forgets one without any work.
    fn list(&mut self, caller: &WorkCaller) {
        let Some(work) = self.callers.get_mut(caller) else { return };
        let waits = !work.jobs.is_empty() || !work.parked.is_empty();
        if waits && !work.is_listed {
            work.is_listed = true;
            self.order.push_back(caller.clone());
        } else if !waits && work.begun == 0 && !work.is_listed {
            self.callers.remove(caller);
        }
    }

    /// Counts a piece of work as ended, and its turn as free.
    fn end(&mut self, caller: &WorkCaller) {
        self.taken -= 1;
        self.counts.begun -= 1;
        if let Some(work) = self.callers.get_mut(caller) {
            work.begun -= 1;
        }
        self.list(caller);
    }

    /// Takes a piece of work out of the queue, if it has not begun.
    fn take_waiting(&mut self, caller: &WorkCaller, id: u64) -> Option<Job> {
        let work = self.callers.get_mut(caller)?;
        let place = work.jobs.iter().position(|job| job.id == id)?;
        let job = work.jobs.remove(place);
        self.counts.waiting -= 1;
        self.counts.stopped += 1;
        job
    }

    /// Takes the newest piece of work of the caller that has the most of it in the queue.
    fn take_surplus(&mut self) -> Option<Job> {
        let greediest = self.callers.values_mut().max_by_key(|work| work.jobs.len())?;
        let job = greediest.jobs.pop_back();
        self.counts.waiting -= 1;
        self.counts.refused += 1;
        job
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

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> WorkCaller {
        WorkCaller::Named(name.into())
    }

    /// Work that goes on until it is stopped.
    fn endless(turn: &Turn<'_>) -> Result<(), Stopped> {
        loop {
            turn.step(STEP)?;
        }
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("{what}"));
    }

    #[tokio::test]
    async fn work_whose_caller_has_left_stops() {
        let pool = Arc::new(FairPool::with("scan", 1, 8));
        let run = |pool: Arc<FairPool>| tokio::spawn(async move { pool.run(named("a"), endless).await });
        let (running, waiting) = (run(Arc::clone(&pool)), run(Arc::clone(&pool)));
        until("both have come", || pool.counts() == WorkCounts { waiting: 1, begun: 1, ..WorkCounts::default() }).await;
        waiting.abort();
        until("waiting work leaves the queue", || pool.counts().waiting == 0).await;
        running.abort();
        until("running work stops", || pool.counts() == WorkCounts { stopped: 2, ..WorkCounts::default() }).await;
        assert_eq!(pool.run(named("a"), |_| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn one_caller_does_not_keep_others_waiting_for_its_end() {
        let pool = Arc::new(FairPool::with("scan", 1, 64));
        let greedy: Vec<_> = (0..20)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.run(named("greedy"), endless).await })
            })
            .collect();
        until("all have come", || pool.counts().waiting == 19).await;
        assert_eq!(pool.counts().begun, 1, "one caller's work does not take turns with itself");
        // This would wait for ever behind work that never ends.
        assert_eq!(pool.run(named("modest"), |turn| turn.step(STEP).map(|()| 1)).await, Ok(1));
        greedy.iter().for_each(tokio::task::JoinHandle::abort);
        until("all have stopped", || pool.counts().begun == 0).await;
    }

    #[tokio::test]
    async fn the_greediest_caller_pays_for_a_full_queue() {
        let pool = Arc::new(FairPool::with("scan", 1, 3));
        let send = |name: &str| {
            let (pool, caller) = (Arc::clone(&pool), named(name));
            tokio::spawn(async move { pool.run(caller, endless).await })
        };
        let running = send("greedy");
        until("it runs", || pool.counts().begun == 1).await;
        let waiting = [send("greedy"), send("greedy"), send("greedy")];
        until("the queue is full", || pool.counts().waiting == 3).await;
        assert_eq!(send("greedy").await.unwrap(), Err(WorkError::Full), "the newest of the greediest");
        let other = send("modest");
        until("another caller finds room", || pool.counts().refused == 2).await;
        let [_, _, last] = waiting;
        assert_eq!(last.await.unwrap(), Err(WorkError::Full));
        assert!(!other.is_finished());
        running.abort();
    }

    #[tokio::test]
    async fn only_some_work_begins_so_that_some_ends() {
        let pool = Arc::new(FairPool::with("scan", 2, 64));
        for caller in 0..20 {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.run(named(&caller.to_string()), endless).await });
        }
        let all = WorkCounts { waiting: 18 - SHARING, begun: 2 + SHARING, ..WorkCounts::default() };
        until("the places are taken", || pool.counts() == all).await;
        // Some turns later, no more work has begun.
        tokio::time::sleep(SLICE * 5).await;
        assert_eq!(pool.counts(), all);
        pool.close();
        assert_eq!(pool.counts().begun, 0);
        assert_eq!(pool.run(named("late"), |_| Ok(())).await, Err(WorkError::Failed));
    }

    #[tokio::test]
    async fn a_panic_takes_no_turn_away() {
        let pool = FairPool::with("scan", 1, 8);
        for _ in 0..3 {
            let panics = |_: &Turn<'_>| -> Result<(), Stopped> { panic!("planted") };
            assert_eq!(pool.run(named("a"), panics).await, Err(WorkError::Failed));
        }
        assert_eq!(pool.run(named("a"), |_| Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn work_goes_on_where_it_was_after_the_turns_of_others() {
        let pool = Arc::new(FairPool::with("scan", 1, 8));
        let order = Arc::new(Mutex::new(Vec::new()));
        let long = |name: &'static str| {
            let (pool, order) = (Arc::clone(&pool), Arc::clone(&order));
            tokio::spawn(async move {
                let work = move |turn: &Turn<'_>| {
                    loop {
                        let mut order = order.lock().unwrap();
                        if order.last() != Some(&name) {
                            order.push(name);
                        }
                        if order.len() > 6 {
                            return Ok(());
                        }
                        drop(order);
                        turn.step(STEP)?;
                    }
                };
                pool.run(named(name), work).await
            })
        };
        let (one, two) = (long("one"), long("two"));
        // Each of them ends only if the other one has had several turns in between.
        let ended = async { (one.await.unwrap(), two.await.unwrap()) };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert_eq!(ended, Ok((Ok(()), Ok(()))));
    }
}
