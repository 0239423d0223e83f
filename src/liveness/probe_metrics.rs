//! How long sweeps take, as a metric for operators.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Sweeps over the processes and containers of the registry's own host.
pub(super) const OWN_HOST: Looker = Looker { prober: "own_host" };

/// Sweeps over remote resources.
pub(super) const REMOTES: Looker = Looker { prober: "remotes" };

/// The duration of sweeps in seconds, by prober.
pub type Durations = Family<Looker, Histogram, fn() -> Histogram>;

/// The durations of sweeps. Clones share them.
#[derive(Debug, Clone)]
pub struct ProbeMetrics(Durations);

/// The label of a prober.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Looker {
    prober: &'static str,
}

impl Default for ProbeMetrics {
    fn default() -> ProbeMetrics {
        // From 1 ms to 16 s.
        ProbeMetrics(Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 4.0, 8))))
    }
}

impl ProbeMetrics {
    /// The duration of each sweep.
    pub fn durations(&self) -> &Durations {
        &self.0
    }

    /// Records the duration of a sweep.
    pub(super) fn note(&self, looker: &Looker, took: Duration) {
        self.0.get_or_create(looker).observe(took.as_secs_f64());
    }
}
