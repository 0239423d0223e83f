//! Time and randomness. The rest of the program receives them as arguments.
//!
//! `clippy.toml` bans the underlying functions elsewhere.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// The clock that counts the time since the machine started, including suspended time.
#[cfg(target_os = "linux")]
const SINCE_BOOT: ClockId = ClockId::Boottime;

/// As on Linux: this clock of macOS includes the time during which the machine sleeps.
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: ClockId = ClockId::Monotonic;

/// A source of time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, in whole microseconds, so that responses and the store have the same value. It may be set, and
    /// may differ between machines.
    fn now(&self) -> Timestamp;

    /// A clock that only passes, in whole microseconds: it begins as the wall clock, and is never set. Only its
    /// differences within one process mean anything.
    fn steady(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// Both clocks at the first use.
static START: LazyLock<(Timestamp, i64)> = LazyLock::new(|| (SystemClock.now(), since_boot()));

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn steady(&self) -> Timestamp {
        (**self).steady()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
        whole_micros(Timestamp::now())
    }

    fn steady(&self) -> Timestamp {
        let (wall, booted) = *START;
        wall.saturating_add(SignedDuration::from_micros(since_boot() - booted)).unwrap_or(Timestamp::MAX)
    }
}

/// The microseconds since the machine started.
fn since_boot() -> i64 {
    let time = clock_gettime(SINCE_BOOT);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

/// A clock for tests, which moves only on request.
#[derive(Debug)]
pub struct ManualClock(Mutex<ManualTime>);

#[derive(Debug)]
struct ManualTime {
    wall: Timestamp,
    steady: Timestamp,
}

impl ManualClock {
    /// A clock at `start`.
    pub fn new(start: Timestamp) -> ManualClock {
        let start = whole_micros(start);
        ManualClock(Mutex::new(ManualTime { wall: start, steady: start }))
    }

    /// Sets the wall clock ahead or back by a duration. No time passes.
    pub fn set(&self, by: SignedDuration) {
        let mut time = self.time();
        time.wall = moved(time.wall, by);
    }

    /// Lets time pass.
    pub fn advance(&self, by: SignedDuration) {
        let mut time = self.time();
        time.wall = moved(time.wall, by);
        time.steady = moved(time.steady, by);
    }

    fn time(&self) -> MutexGuard<'_, ManualTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.time().wall
    }

    fn steady(&self) -> Timestamp {
        self.time().steady
    }
}

fn moved(time: Timestamp, by: SignedDuration) -> Timestamp {
    whole_micros(time.saturating_add(by).unwrap_or(Timestamp::MAX))
}

fn whole_micros(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// A random duration, evenly distributed between zero and `whole`.
pub fn random_part_of(whole: Duration) -> Duration {
    // Version and variant occupy bits of both halves, but not the lowest 32.
    let (_, random) = new_identity().as_u64_pair();
    let part = f64::from(u32::try_from(random & u64::from(u32::MAX)).unwrap_or_default()) / f64::from(u32::MAX);
    whole.mul_f64(part)
}

/// A new identity: 122 random bits (UUID version 4, RFC 9562).
pub fn new_identity() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness comes from")]
    Uuid::new_v4()
}
