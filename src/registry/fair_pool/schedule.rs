//! The order in which callers get their turns, and the work that waits for one.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar};

/// How many pieces of work, beyond the number of turns, may have begun.
pub(super) const SHARING: usize = 3;

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

/// The callers, their work `W`, and the turns. A lock of the pool guards it.
#[derive(Debug)]
pub(super) struct Schedule<W> {
    /// The callers with waiting work, the next one first.
    pub(super) order: VecDeque<WorkCaller>,
    pub(super) callers: HashMap<WorkCaller, CallerWork<W>>,
    /// Work that has a turn and waits for a thread.
    pub(super) starting: VecDeque<(WorkCaller, Job<W>)>,
    /// Turns in use.
    pub(super) taken: usize,
    pub(super) idle_threads: usize,
    pub(super) last_id: u64,
    pub(super) counts: WorkCounts,
}

/// The work of one caller.
#[derive(Debug)]
pub(super) struct CallerWork<W> {
    /// Work that has not begun.
    pub(super) jobs: VecDeque<Job<W>>,
    /// Work that has begun and waits for another turn.
    pub(super) parked: VecDeque<Arc<Parked>>,
    /// How many pieces of work have begun.
    begun: usize,
    /// Whether the caller is in [`Schedule::order`].
    is_listed: bool,
}

/// A thread that waits for its next turn.
#[derive(Debug, Default)]
pub(super) struct Parked {
    pub(super) has_turn: AtomicBool,
    pub(super) woken: Condvar,
}

/// A piece of work that has not begun.
#[derive(Debug)]
pub(super) struct Job<W> {
    pub(super) id: u64,
    pub(super) work: W,
    /// Tells the work that its caller has gone.
    pub(super) stop: Arc<AtomicBool>,
}

impl<W> Default for CallerWork<W> {
    fn default() -> CallerWork<W> {
        CallerWork { jobs: VecDeque::new(), parked: VecDeque::new(), begun: 0, is_listed: false }
    }
}

impl<W> Default for Schedule<W> {
    fn default() -> Schedule<W> {
        Schedule {
            order: VecDeque::new(),
            callers: HashMap::new(),
            starting: VecDeque::new(),
            taken: 0,
            idle_threads: 0,
            last_id: 0,
            counts: WorkCounts::default(),
        }
    }
}

impl<W> Schedule<W> {
    /// Gives free turns to the callers in their order: first to work that has begun.
    pub(super) fn grant(&mut self, turns: usize) {
        let mut passed_over = 0;
        while self.taken < turns
            && passed_over < self.order.len()
            && let Some(caller) = self.order.pop_front()
        {
            let may_begin = self.counts.begun < turns + SHARING;
            let Some(work) = self.callers.get_mut(&caller) else { continue };
            if let Some(parked) = work.parked.pop_front() {
                parked.has_turn.store(true, Ordering::Relaxed);
                parked.woken.notify_one();
            } else if may_begin
                && work.begun < turns
                && let Some(job) = work.jobs.pop_front()
            {
                work.begun += 1;
                self.counts.begun += 1;
                self.counts.waiting -= 1;
                self.starting.push_back((caller.clone(), job));
            } else {
                work.is_listed = false;
                // Without work, the caller is forgotten.
                passed_over += usize::from(!work.jobs.is_empty());
                self.list(&caller);
                continue;
            }
            passed_over = 0;
            self.taken += 1;
            if let Some(work) = self.callers.get_mut(&caller) {
                work.is_listed = false;
            }
            self.list(&caller);
        }
    }

    /// Puts a caller with waiting work at the end of the order, and forgets one without any work.
    pub(super) fn list(&mut self, caller: &WorkCaller) {
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
    pub(super) fn end(&mut self, caller: &WorkCaller) {
        self.taken -= 1;
        self.counts.begun -= 1;
        if let Some(work) = self.callers.get_mut(caller) {
            work.begun -= 1;
        }
        self.list(caller);
    }

    /// Takes a piece of work out of the queue, if it has not begun.
    pub(super) fn take_waiting(&mut self, caller: &WorkCaller, id: u64) -> Option<Job<W>> {
        let work = self.callers.get_mut(caller)?;
        let place = work.jobs.iter().position(|job| job.id == id)?;
        let job = work.jobs.remove(place);
        self.counts.waiting -= 1;
        self.counts.stopped += 1;
        job
    }

    /// Takes the newest piece of work of the caller that has the most of it in the queue.
    pub(super) fn take_surplus(&mut self) -> Option<Job<W>> {
        let greediest = self.callers.values_mut().max_by_key(|work| work.jobs.len())?;
        let job = greediest.jobs.pop_back();
        self.counts.waiting -= 1;
        self.counts.refused += 1;
        job
    }
}
