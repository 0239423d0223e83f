//! Time and randomness. The rest of the program receives them as arguments.
//!
//! `clippy.toml` bans the underlying functions elsewhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// The time, in whole microseconds, so that responses and the store have the same value.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
        whole_micros(Timestamp::now())
    }
}

/// A clock for tests, which moves only on request.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock at `start`.
    pub fn new(start: Timestamp) -> ManualClock {
        ManualClock(Mutex::new(whole_micros(start)))
    }

    /// Moves the clock, forwards or back.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = whole_micros(now.saturating_add(by).unwrap_or(Timestamp::MAX));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
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
