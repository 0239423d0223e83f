//! The wall clock beside the steady one: notices when the wall clock is set.
//!
//! Everything that asks whether something is alive counts by the steady clock. The wall clock is for times that are
//! shown or written. Their difference converts between the two.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use tracing::warn;

use crate::clock::Clock;

/// The smallest setting of the wall clock that is reported.
pub const JUMP: SignedDuration = SignedDuration::from_secs(2);

/// A smaller difference is the ordinary correction of a clock. It changes no conversion, so times that are shown twice
/// are equal.
const DRIFT: SignedDuration = SignedDuration::from_millis(500);

/// How far the clocks of replicas may be apart: a head this far ahead of the wall clock holds the times of new changes.
pub const APART: SignedDuration = SignedDuration::from_secs(10);

/// The maximum time between two readings that count as one.
const AT_ONCE: SignedDuration = SignedDuration::from_millis(100);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// The steady clock.
    pub steady: Timestamp,
}

/// A setting of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// How far it was set ahead; negative if it was set back.
    pub by: SignedDuration,
    /// When this process noticed it, by the steady clock.
    pub noticed: Timestamp,
}

/// Both clocks of this process.
pub struct ClockWatch {
    clock: Arc<dyn Clock>,
    /// The wall clock less the steady one, in microseconds.
    offset: AtomicI64,
    last_jump: Mutex<Option<ClockJump>>,
    jumps: Counter,
}

impl std::fmt::Debug for ClockWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClockWatch").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl ClockWatch {
    /// Watches a clock, and counts its jumps.
    pub fn new(clock: Arc<dyn Clock>, jumps: Counter) -> ClockWatch {
        let Moment { wall, steady } = read(&*clock);
        ClockWatch { clock, offset: AtomicI64::new(micros_between(steady, wall)), last_jump: Mutex::default(), jumps }
    }

    /// Reads both clocks, and notes whether the wall clock was set.
    pub fn look(&self) -> Moment {
        let moment = read(&*self.clock);
        let offset = micros_between(moment.steady, moment.wall);
        let known = self.offset.load(Ordering::Acquire);
        let by = SignedDuration::from_micros(offset.saturating_sub(known));
        let is_mine = || self.offset.compare_exchange(known, offset, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if by.abs() >= DRIFT && is_mine() && by.abs() >= JUMP {
            warn!(
                seconds = by.as_secs(),
                "the clock of this machine was set; leases and observations count by the time that passes"
            );
            self.jumps.inc();
            let jump = ClockJump { by, noticed: moment.steady };
            *self.last_jump.lock().unwrap_or_else(PoisonError::into_inner) = Some(jump);
        }
        moment
    }

    /// The steady clock.
    pub fn steady(&self) -> Timestamp {
        self.clock.steady()
    }

    /// The last setting of the wall clock.
    pub fn last_jump(&self) -> Option<ClockJump> {
        *self.last_jump.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the wall clock shows at a moment of the steady one, as it is set now.
    pub fn wall_of(&self, steady: Timestamp) -> Timestamp {
        let offset = SignedDuration::from_micros(self.offset.load(Ordering::Acquire));
        steady.saturating_add(offset).unwrap_or(steady)
    }

    /// The moment of the steady clock at which the wall clock shows a time, as it is set now.
    pub fn steady_of(&self, wall: Timestamp) -> Timestamp {
        let offset = SignedDuration::from_micros(self.offset.load(Ordering::Acquire));
        wall.saturating_sub(offset).unwrap_or(wall)
    }

    /// The time of a new change or reading after a head at `head`. Times of changes do not decrease, unless the head lies
    /// further ahead than clocks of replicas may be apart: its clock was wrong, and the right one counts again.
    pub fn after(&self, head: Timestamp) -> Timestamp {
        let now = self.look().wall;
        if is_ahead(head, now) { now } else { now.max(head) }
    }

    /// How far a head lies ahead, if it is further than clocks of replicas may be apart.
    pub fn lead_of(&self, head: Timestamp) -> Option<SignedDuration> {
        let now = self.clock.now();
        is_ahead(head, now).then(|| head.duration_since(now))
    }
}

/// Whether a time was written by a clock that was wrong: it lies further ahead than clocks of replicas may be apart.
pub(super) fn is_ahead(head: Timestamp, now: Timestamp) -> bool {
    head.duration_since(now) > APART
}

/// Reads both clocks, again if this thread was stopped in between.
fn read(clock: &dyn Clock) -> Moment {
    let mut moment = Moment { steady: clock.steady(), wall: clock.now() };
    for _ in 0..3 {
        if clock.steady().duration_since(moment.steady) <= AT_ONCE {
            break;
        }
        moment = Moment { steady: clock.steady(), wall: clock.now() };
    }
    moment
}

fn micros_between(earlier: Timestamp, later: Timestamp) -> i64 {
    later.as_microsecond().saturating_sub(earlier.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_setting_is_noticed_once_and_an_ordinary_correction_is_none() {
        let clock = Arc::new(ManualClock::new(at(1_000)));
        let jumps = Counter::default();
        let watch = ClockWatch::new(clock.clone(), jumps.clone());
        clock.advance(SignedDuration::from_secs(100));
        clock.set(SignedDuration::from_millis(1_900));
        watch.look();
        assert_eq!((watch.last_jump(), jumps.get()), (None, 0));
        clock.set(SignedDuration::from_secs(-3_600));
        watch.look();
        watch.look();
        let jump = ClockJump { by: SignedDuration::from_secs(-3_600), noticed: at(1_100) };
        assert_eq!((watch.last_jump(), jumps.get()), (Some(jump), 1));
        assert_eq!(watch.steady_of(watch.wall_of(at(7))), at(7));
    }

    #[test]
    fn times_go_on_by_the_right_clock_after_a_head_that_lies_in_the_future() {
        let clock = Arc::new(ManualClock::new(at(1_000)));
        let watch = ClockWatch::new(clock, Counter::default());
        for (head, time) in [(900, 1_000), (1_010, 1_010), (1_011, 1_000), (9_999_999, 1_000)] {
            assert_eq!(watch.after(at(head)), at(time), "{head}");
            assert_eq!(watch.lead_of(at(head)).is_some(), head > 1_010, "{head}");
        }
    }
}
