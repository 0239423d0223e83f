//! When a process last knew that its snapshot was the newest.
//!
//! A process that cannot reach a shared store still answers reads from its snapshot. The response tells the client how
//! old that snapshot may be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The age from which on a snapshot is called old: several times the interval of checks.
pub const OLD: Duration = Duration::from_secs(3);

/// The last moment at which the snapshot was certainly the newest.
#[derive(Debug)]
pub struct Freshness {
    began: Instant,
    /// In milliseconds after `began`.
    confirmed: AtomicU64,
}

impl Freshness {
    pub(super) fn new() -> Freshness {
        Freshness { began: Instant::now(), confirmed: AtomicU64::new(0) }
    }

    /// Records that the snapshot is the newest.
    pub(super) fn confirm(&self) {
        self.confirmed.store(self.since_began(Instant::now()), Ordering::Relaxed);
    }

    /// The time since that moment.
    pub fn age(&self, now: Instant) -> Duration {
        Duration::from_millis(self.since_began(now).saturating_sub(self.confirmed.load(Ordering::Relaxed)))
    }

    fn since_began(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}
