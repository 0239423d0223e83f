//! What the writer counts and times, and what is reported, for whoever watches over the service.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Counters of one registry. Cloning shares them.
#[derive(Debug, Clone)]
pub struct RegistryMetrics {
    /// Batches that were made durable.
    pub commits: Counter,
    /// Batches that could not be.
    pub failed_commits: Counter,
    /// Commands in a batch.
    pub batch: Histogram,
    /// Seconds from taking the store's lock until a batch was durable.
    pub commit_time: Histogram,
    /// Commands that wait for the writer.
    pub queue: Gauge,
    /// Sightings that were taken in.
    pub sightings: Family<ObservationLabels, Counter>,
}

/// What was seen of what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ObservationLabels {
    /// The kind of the resource.
    pub kind: &'static str,
    /// What was seen of it.
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
        }
    }
}
