//! The agent of a host: asks the registry which resources the host holds, probes them, and reports changes.
//!
//! While the registry is unreachable, the agent goes on probing the resources it knows. It keeps the
//! newest observation of each and sends them once the registry is back.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::prober::{HeldOnHost, Prober};
use crate::client::{Client, ClientError, ListTag, Report, ReportedSighting, ResourceRow};
use crate::clock::Clock;
use domain::plugin::UniqueId;
use domain::record::{ReportedObservation, ResourceKey};

/// How many observations one request carries: each has some 500 bytes with its parent, and a body may have 1 MiB.
const BATCH: usize = 500;

/// How an agent works.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The host whose resources it probes, as plugins name it.
    pub host: String,
    /// The name of the agent, by which the registry tells it from another agent of the same host.
    pub by: String,
    /// The address of the Docker engine.
    pub engine: String,
    /// The interval between sweeps. A longer one notices changes later; a shorter one takes more processor time.
    pub interval: Duration,
    /// When to resend an observation that has not changed: the registry regards one as unknown after three minutes.
    pub refresh: SignedDuration,
}

/// The agent.
pub struct Agent<C> {
    client: Client,
    clock: C,
    settings: AgentSettings,
    prober: Prober,
    held: Vec<HeldOnHost>,
    tag: ListTag,
    outbox: BTreeMap<ResourceKey, ReportedObservation>,
    /// The last report.
    reported: Option<Timestamp>,
    standing: Standing,
}

/// How the registry last responded: the agent logs a change, not every sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    New,
    Welcome,
    OutOfReach,
    /// Another agent reports for this host.
    Second,
    Refused,
}

impl<C: Clock> Agent<C> {
    /// An agent that reports through `client`.
    pub fn new(client: Client, clock: C, settings: AgentSettings) -> Agent<C> {
        let prober = Prober::new(&settings.engine, settings.refresh);
        let (held, tag, outbox) = (Vec::new(), ListTag::default(), BTreeMap::new());
        let (reported, standing) = (None, Standing::New);
        Agent { client, clock, settings, prober, held, tag, outbox, reported, standing }
    }

    /// Sweeps and reports until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = self.turn() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Fetches the held resources, sweeps and reports once.
    pub async fn turn(&mut self) {
        match self.client.resources_of_host(&self.settings.host, &mut self.tag).await {
            Ok(Some(rows)) => {
                self.back_in_reach();
                self.held = rows.into_iter().filter_map(held).collect();
            }
            Ok(None) => self.back_in_reach(),
            Err(error) => self.out_of_favour(&error),
        }
        let news = self.prober.sweep(&self.held, self.clock.now()).await;
        self.outbox.extend(news.into_iter().map(|sighting| (sighting.key.clone(), sighting)));
        // Observations of released resources are dropped.
        let held: std::collections::HashSet<&ResourceKey> = self.held.iter().map(|held| &held.key).collect();
        self.outbox.retain(|key, _| held.contains(key));
        self.send().await;
    }

    /// Whether the agent has reported nothing for so long that it must say that it looks at its host.
    fn is_silent(&self, now: Timestamp) -> bool {
        self.reported.is_none_or(|last| now < last || now.duration_since(last) > self.settings.refresh)
    }

    async fn send(&mut self) {
        let now = self.clock.now();
        while !self.outbox.is_empty() || self.is_silent(now) {
            let batch: Vec<ResourceKey> = self.outbox.keys().take(BATCH).cloned().collect();
            let sightings = batch.iter().filter_map(|key| self.outbox.get(key));
            let observations: Vec<ReportedSighting> = sightings.map(ReportedSighting::from).collect();
            let (by, host) = (self.settings.by.clone(), Some(self.settings.host.clone()));
            match self.client.observe(&Report { by, host, at: self.clock.now(), observations }).await {
                Ok(accepted) => {
                    self.reported = Some(now);
                    self.stands(Standing::Welcome);
                    for ignored in &accepted.ignored {
                        debug!(index = ignored.index, "the registry ignored an observation: {}", ignored.detail);
                    }
                }
                Err(refused) if refused.status() == Some(409) => {
                    // Keep the observations: if the other agent ends, the registry needs them.
                    if self.stands(Standing::Second) {
                        error!(
                            "another agent reports for this host; this agent waits until the other is silent: {refused}"
                        );
                    }
                    return;
                }
                Err(error) if error.may_pass() => {
                    self.out_of_favour(&error);
                    return;
                }
                // The registry would refuse them again, and they would block all later observations.
                Err(error) => {
                    self.reported = Some(now);
                    error!(sightings = batch.len(), "the registry refused observations, which are dropped: {error}");
                }
            }
            self.outbox.retain(|key, _| !batch.contains(key));
        }
    }

    fn back_in_reach(&mut self) {
        if self.standing == Standing::OutOfReach || self.standing == Standing::New {
            if self.standing == Standing::OutOfReach {
                // The registry may have restarted, even on an older store.
                self.prober.resend_all();
            }
            self.stands(Standing::Welcome);
            info!(server = %self.client.server(), host = self.settings.host, "the registry answers");
        }
    }

    fn out_of_favour(&mut self, error: &ClientError) {
        let standing = if error.may_pass() { Standing::OutOfReach } else { Standing::Refused };
        if self.stands(standing) {
            warn!("{}; probing continues, and the agent reports later", error.with_causes());
        }
    }

    /// Returns true if and only if `standing` is new.
    fn stands(&mut self, standing: Standing) -> bool {
        std::mem::replace(&mut self.standing, standing) != standing
    }
}

/// The resource of a row; `None` for a row without an id, which no probe can find.
fn held(row: ResourceRow) -> Option<HeldOnHost> {
    let key =
        ResourceKey { plugin: UniqueId::from_client(&row.plugin), kind: row.kind, id: row.id?.into(), host: None };
    let observed = row.observed.unwrap_or_default();
    Some(HeldOnHost { key, identity: observed.identity, parent: observed.parent })
}
