//! How long it takes to look at everything once, for whoever watches over the service.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// The looks at the processes and containers of the registry's own host.
pub(super) const OWN_HOST: Looker = Looker { prober: "own_host" };

/// The looks at remote resources.
pub(super) const REMOTES: Looker = Looker { prober: "remotes" };

/// Seconds that looks have taken, by who has looked.
pub type Durations = Family<Looker, Histogram, fn() -> Histogram>;

/// The looks that were taken. Cloning shares them.
#[derive(Debug, Clone)]
pub struct ProbeMetrics(Durations);

/// Who has looked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Looker {
    prober: &'static str,
}

impl Default for ProbeMetrics {
    fn default() -> ProbeMetrics {
        // 1 ms to 16 s.
        ProbeMetrics(Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 4.0, 8))))
    }
}

impl ProbeMetrics {
    /// How long each look has taken.
    pub fn durations(&self) -> &Durations {
        &self.0
    }

    /// Notes how long a look has taken.
    pub(super) fn note(&self, looker: &Looker, took: Duration) {
        self.0.get_or_create(looker).observe(took.as_secs_f64());
    }
}
