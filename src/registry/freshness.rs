//! When a process last knew that its snapshot was the newest.
//!
//! Where several processes share a store, one that cannot reach it goes on answering reads from what it knows; those who
//! ask are told how old that is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// From which age on a snapshot is called old: a few times as long as a process goes without asking.
pub const OLD: Duration = Duration::from_secs(3);

/// The moment at which the snapshot was the newest for certain.
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

    /// The snapshot is the newest.
    pub(super) fn confirm(&self) {
        self.confirmed.store(self.since_began(Instant::now()), Ordering::Relaxed);
    }

    /// How long ago that was.
    pub fn age(&self, now: Instant) -> Duration {
        Duration::from_millis(self.since_began(now).saturating_sub(self.confirmed.load(Ordering::Relaxed)))
    }

    fn since_began(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}
