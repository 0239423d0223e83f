//! Metrics of the writer and of reports.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// The metrics of one registry. Clones share them.
#[derive(Debug, Clone)]
pub struct RegistryMetrics {
    /// Batches that became durable.
    pub commits: Counter,
    /// Batches that failed.
    pub failed_commits: Counter,
    /// Commands in a batch.
    pub batch: Histogram,
    /// Seconds from taking the store's lock until the batch was durable.
    pub commit_time: Histogram,
    /// Commands in the queue.
    pub queue: Gauge,
    /// Accepted observations.
    pub sightings: Family<ObservationLabels, Counter>,
    /// How often the wall clock was set.
    pub clock_jumps: Counter,
    /// Stored responses that were dropped before their time.
    pub dropped_answers: Counter,
}

/// The labels of accepted observations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ObservationLabels {
    /// The kind of the resource.
    pub kind: &'static str,
    /// The observed state.
    pub state: &'static str,
}

impl Default for RegistryMetrics {
    fn default() -> RegistryMetrics {
        RegistryMetrics {
            commits: Counter::default(),
            failed_commits: Counter::default(),
            // 1 to 1,024.
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            // 0.1 ms to 6.6 s.
            commit_time: Histogram::new(exponential_buckets(0.000_1, 4.0, 9)),
            queue: Gauge::default(),
            sightings: Family::default(),
            clock_jumps: Counter::default(),
            dropped_answers: Counter::default(),
        }
    }
}
