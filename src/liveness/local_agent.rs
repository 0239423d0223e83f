//! The sweeps of the registry itself: over the processes and containers of its own host, as an agent does
//! elsewhere, and over remote resources, which are on no host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::host::agent_name;
use super::probe_metrics::{OWN_HOST, OwnSweep, ProbeMetrics, REMOTES};
use super::prober::{HeldOnHost, Prober};
use super::remote::{RemoteProber, Target};
use crate::clock::random_part_of;
use crate::registry::Registry;
use domain::host::HostNames;
use domain::index::IndexKey;
use domain::record::{Holding, Record, ReportedObservation, ResourceKey, ResourceKind, ResourceRef};

/// When to resend an unchanged observation: the registry regards one as stale after three minutes.
const REFRESH: SignedDuration = SignedDuration::from_secs(30);

/// Sweeps over the registry's own host.
pub struct LocalAgent {
    registry: Registry,
    host: String,
    names: HostNames,
    unnamed: bool,
    by: String,
    prober: Prober,
    reported: ProbeSummary,
    passes: ProbeMetrics,
}

/// How the last report went: a change is logged once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeSummary {
    Taken,
    Refused,
}

impl LocalAgent {
    /// A sweep over the resources of `host`, by all names that the registry knows for it, and, if `unnamed`, of plugins
    /// that name no host.
    pub fn new(registry: Registry, host: String, unnamed: bool, engine: &str) -> LocalAgent {
        let by = agent_name(&host).replacen("agent", "registry", 1);
        let names = HostNames::of([&*host]).with_names_of(registry.own_host());
        LocalAgent {
            registry,
            host,
            names,
            unnamed,
            by,
            prober: Prober::new(engine, REFRESH),
            reported: ProbeSummary::Taken,
            passes: ProbeMetrics::default(),
        }
    }

    /// Records the duration of each sweep in `passes`.
    #[must_use]
    pub fn timed_by(self, passes: &ProbeMetrics) -> LocalAgent {
        LocalAgent { passes: passes.clone(), ..self }
    }

    /// Sweeps every `interval` until `stop`.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let began = Instant::now();
                    self.turn().await;
                    self.passes.note(&OWN_HOST, began.elapsed());
                }
                () = stop.cancelled() => return,
            }
        }
    }

    /// Sweeps once, and reports changes.
    pub async fn turn(&mut self) {
        let now = self.registry.clock().now();
        let news = self.prober.sweep(&self.held(), now).await;
        self.passes.note_own(OwnSweep { at: self.registry.clock().now(), unnamed: self.unnamed });
        if news.is_empty() {
            return;
        }
        if let Err(error) = self.registry.observe(&self.by, Some(&self.host), news).await {
            self.prober.resend_all();
            if std::mem::replace(&mut self.reported, ProbeSummary::Refused) == ProbeSummary::Taken {
                warn!(%error, host = self.host, "cannot record the observations of this host");
            }
        } else {
            self.reported = ProbeSummary::Taken;
        }
    }

    fn held(&self) -> Vec<HeldOnHost> {
        let snapshot = self.registry.snapshot();
        let indexes: Vec<IndexKey> = if self.unnamed {
            vec![IndexKey::Holding]
        } else {
            self.names.iter().flat_map(|name| [IndexKey::host(name), IndexKey::left_on(name)]).collect()
        };
        let records =
            indexes.iter().filter_map(|index| snapshot.state.having(index)).flat_map(|records| records.values());
        // A plugin may have moved from one name of this host to another.
        let held: BTreeMap<ResourceKey, HeldOnHost> =
            records.flat_map(|record| self.held_of(record)).map(|held| (held.key.clone(), held)).collect();
        held.into_values().collect()
    }

    fn held_of(&self, record: &Arc<Record>) -> Vec<HeldOnHost> {
        let is_here = |held: &Holding<'_>| match held.host {
            Some(host) => self.names.contains(host),
            None => self.unnamed,
        };
        let held = record.held().filter(|held| held.slot.kind != ResourceKind::Remote && is_here(held));
        held.map(|held| {
            let key = ResourceKey::of(&record.unique_id, &held.slot);
            let seen = held.observation();
            let (identity, parent) = seen.map(|seen| (seen.identity.clone(), seen.parent.clone())).unwrap_or_default();
            HeldOnHost { key, identity, parent }
        })
        .collect()
    }
}

/// Sweeps over remote resources.
pub struct RemoteSweep {
    registry: Registry,
    prober: RemoteProber,
    endpoints: bool,
    passes: ProbeMetrics,
}

impl RemoteSweep {
    /// A sweep that asks the configured providers and, with `endpoints`, also endpoints and SSH hosts.
    pub fn new(registry: Registry, prober: RemoteProber, endpoints: bool) -> RemoteSweep {
        RemoteSweep { registry, prober, endpoints, passes: ProbeMetrics::default() }
    }

    /// Records the duration of each sweep in `passes`.
    #[must_use]
    pub fn timed_by(self, passes: &ProbeMetrics) -> RemoteSweep {
        RemoteSweep { passes: passes.clone(), ..self }
    }

    /// Probes the due resources every `interval` until `stop`.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let began = Instant::now();
            tokio::select! {
                news = self.turn() => self.tell(news).await,
                () = stop.cancelled() => return,
            }
            self.passes.note(&REMOTES, began.elapsed());
        }
    }

    async fn turn(&mut self) -> Vec<ReportedObservation> {
        let held = self.held();
        let chance = || random_part_of(Duration::from_secs(1)).as_secs_f64();
        self.prober.sweep(&held, self.registry.clock().now(), chance).await
    }

    async fn tell(&self, news: Vec<ReportedObservation>) {
        if news.is_empty() {
            return;
        }
        // The prober resends the observations when they grow stale.
        if let Err(error) = self.registry.observe("registry", None, news).await {
            debug!(%error, "cannot record the observations of remote resources");
        }
    }

    fn held(&self) -> Vec<Target> {
        let snapshot = self.registry.snapshot();
        let records = snapshot.state.having(&IndexKey::Holding).into_iter().flat_map(|records| records.iter());
        let targets = records.flat_map(|(_, record)| {
            record.held().filter_map(|held| {
                let ResourceRef::Remote(remote) = held.resource else { return None };
                remote.id()?;
                let mut resource = remote.clone();
                if !self.endpoints {
                    (resource.endpoint_url, resource.ssh_host) = (None, None);
                }
                Some(Target::of(ResourceKey::of(&record.unique_id, &held.slot), &record.plugin, &resource))
            })
        });
        targets.collect()
    }
}
