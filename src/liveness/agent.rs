//! The agent of a host: it asks the registry what the host should hold, looks, and reports what is news.
//!
//! It survives the registry: while that cannot be reached, it goes on looking at what it knew, keeps
//! the newest sighting of each resource, and sends them when the registry is back.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::prober::{HeldOnHost, Prober};
use crate::client::{Client, ClientError, ListTag, Report, ReportedSighting, ResourceRow};
use crate::clock::Clock;
use domain::plugin::UniqueId;
use domain::record::{ReportedObservation, ResourceKey};

/// How many sightings are sent at a time: some 200 bytes each, and a body may have 1 MiB.
const BATCH: usize = 1_000;

/// How an agent works.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The host whose resources it looks at, as plugins name it.
    pub host: String,
    /// What it calls itself: another one that reports for the same host is told by it.
    pub by: String,
    /// Where the Docker engine listens.
    pub engine: String,
    /// How often it looks. A longer pause finds out later; a shorter one takes more processor time.
    pub interval: Duration,
    /// When what has not changed is told again. A registry takes what is older than three minutes for unknown.
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
    standing: Standing,
}

/// How the registry has taken us lately: told once when it changes, and not at every sweep.
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
    /// An agent that reports by `client`.
    pub fn new(client: Client, clock: C, settings: AgentSettings) -> Agent<C> {
        let prober = Prober::new(&settings.engine, settings.refresh);
        let (held, tag, outbox) = (Vec::new(), ListTag::default(), BTreeMap::new());
        Agent { client, clock, settings, prober, held, tag, outbox, standing: Standing::New }
    }

    /// Looks and reports until `stop`.
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

    /// Asks, looks and reports once.
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
        // What was given back meanwhile is of no concern any more.
        let held: std::collections::HashSet<&ResourceKey> = self.held.iter().map(|held| &held.key).collect();
        self.outbox.retain(|key, _| held.contains(key));
        self.send().await;
    }

    async fn send(&mut self) {
        while !self.outbox.is_empty() {
            let batch: Vec<ResourceKey> = self.outbox.keys().take(BATCH).cloned().collect();
            let sightings = batch.iter().filter_map(|key| self.outbox.get(key));
            let observations: Vec<ReportedSighting> = sightings.map(ReportedSighting::from).collect();
            let (by, host) = (self.settings.by.clone(), Some(self.settings.host.clone()));
            match self.client.observe(&Report { by, host, at: self.clock.now(), observations }).await {
                Ok(accepted) => {
                    self.stands(Standing::Welcome);
                    for ignored in &accepted.ignored {
                        debug!(index = ignored.index, "a sighting was not taken: {}", ignored.detail);
                    }
                }
                Err(refused) if refused.status() == Some(409) => {
                    // Kept: the other one may end, and then they are wanted.
                    if self.stands(Standing::Second) {
                        error!(
                            "another agent reports for this host; this one waits until that one is silent: {refused}"
                        );
                    }
                    return;
                }
                Err(error) if error.may_pass() => {
                    self.out_of_favour(&error);
                    return;
                }
                // The same would be refused again, and hold up all that comes after it.
                Err(error) => error!(sightings = batch.len(), "sightings were refused, and are dropped: {error}"),
            }
            self.outbox.retain(|key, _| !batch.contains(key));
        }
    }

    fn back_in_reach(&mut self) {
        if self.standing == Standing::OutOfReach || self.standing == Standing::New {
            if self.standing == Standing::OutOfReach {
                // It may have been started again, on an older store even.
                self.prober.resend_all();
            }
            self.stands(Standing::Welcome);
            info!(server = %self.client.server(), host = self.settings.host, "the registry answers");
        }
    }

    fn out_of_favour(&mut self, error: &ClientError) {
        let standing = if error.may_pass() { Standing::OutOfReach } else { Standing::Refused };
        if self.stands(standing) {
            warn!("{}; looking goes on, and is reported later", error.with_causes());
        }
    }

    /// Returns true if and only if that is new.
    fn stands(&mut self, standing: Standing) -> bool {
        std::mem::replace(&mut self.standing, standing) != standing
    }
}

/// The row of a list as something to look at; `None` for what has no name that we could look for.
fn held(row: ResourceRow) -> Option<HeldOnHost> {
    let key = ResourceKey { plugin: UniqueId::from_client(&row.plugin), kind: row.kind, id: row.id?.into() };
    Some(HeldOnHost { key, identity: row.observed.and_then(|observed| observed.identity) })
}
