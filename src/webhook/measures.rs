//! What is counted and timed of attempts to deliver, for whoever watches over the service.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::attempt::Attempt;

/// Counters of one sender. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Measures {
    /// Attempts that the target has taken.
    pub delivered: Counter,
    /// Attempts that may be made again.
    pub failed: Counter,
    /// Attempts to which the target has answered that it wants no more.
    pub gone: Counter,
    /// Seconds that an attempt took.
    pub time: Histogram,
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            delivered: Counter::default(),
            failed: Counter::default(),
            gone: Counter::default(),
            // 1 ms to 16 s.
            time: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
        }
    }
}

impl Measures {
    /// Counts an attempt.
    pub(super) fn count(&self, attempt: &Attempt, took: Duration) {
        let outcome = match attempt {
            Attempt::Delivered { .. } => &self.delivered,
            Attempt::Failed { .. } => &self.failed,
            Attempt::Gone => &self.gone,
        };
        outcome.inc();
        self.time.observe(took.as_secs_f64());
    }
}
