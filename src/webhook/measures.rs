//! Metrics of delivery attempts.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::attempt::Attempt;

/// The metrics of a sender. Clones share the counters.
#[derive(Debug, Clone)]
pub struct Measures {
    /// Attempts that the target accepted.
    pub delivered: Counter,
    /// Attempts that may be retried.
    pub failed: Counter,
    /// Attempts that the target answered with 410.
    pub gone: Counter,
    /// The duration of attempts, in seconds.
    pub time: Histogram,
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            delivered: Counter::default(),
            failed: Counter::default(),
            gone: Counter::default(),
            // The buckets range from 1 ms to 16 s.
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
