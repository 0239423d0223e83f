//! How long sweeps take, as a metric for operators.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
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
pub struct ProbeMetrics {
    durations: Durations,
    own: Arc<ArcSwapOption<OwnSweep>>,
}

/// The last sweep over the registry's own host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnSweep {
    /// When it ended.
    pub at: Timestamp,
    /// Whether it covered the plugins that name no host.
    pub unnamed: bool,
}

/// The label of a prober.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Looker {
    prober: &'static str,
}

impl Default for ProbeMetrics {
    fn default() -> ProbeMetrics {
        // From 1 ms to 16 s.
        let durations =
            Family::new_with_constructor((|| Histogram::new(exponential_buckets(0.001, 4.0, 8))) as fn() -> _);
        ProbeMetrics { durations, own: Arc::default() }
    }
}

impl ProbeMetrics {
    /// The duration of each sweep.
    pub fn durations(&self) -> &Durations {
        &self.durations
    }

    /// Records the duration of a sweep.
    pub(super) fn note(&self, looker: &Looker, took: Duration) {
        self.durations.get_or_create(looker).observe(took.as_secs_f64());
    }

    /// The last sweep over the registry's own host; `None` before the first.
    pub fn own_sweep(&self) -> Option<OwnSweep> {
        self.own.load().as_deref().copied()
    }

    /// Records that a sweep over the registry's own host has ended.
    pub(super) fn note_own(&self, sweep: OwnSweep) {
        self.own.store(Some(Arc::new(sweep)));
    }
}
