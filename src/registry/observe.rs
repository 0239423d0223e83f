//! Reports of probes and agents.
//!
//! Most observations in a report repeat the last ones. [`super::heartbeats`] counts them, which costs nothing. The new
//! ones become one change for each plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::handle::{Pending, Registry};
use super::metrics::ObservationLabels;
use super::submit_error::SubmitError;
use domain::command::observation_rules::{read, transition};
use domain::command::request::ProbeResult;
use domain::command::{Caller, Command, Refusal, Request, authorization};
use domain::host;
use domain::plugin::UniqueId;
use domain::query::Resource;
use domain::record::observation::shortened;
use domain::record::{Looks, ObservedState, ReportedObservation, ResourceKey, ResourceKind, Slot};
use domain::{Revision, Snapshot};

/// The result of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportResult {
    /// The number of accepted observations.
    pub accepted: usize,
    /// The ignored observations by their index in the report, each with the reason.
    pub ignored: Vec<(usize, String)>,
    /// The newest revision from this report, if it had new observations.
    pub revision: Option<Revision>,
}

/// The new observations of one plugin.
#[derive(Default)]
struct PluginReport {
    looks: Vec<ProbeResult>,
    is_news: bool,
}

impl Registry {
    /// Accepts observations by the registry itself, as `by`, of resources on `host`: see [`Registry::observe_for`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn observe(
        &self,
        by: &str,
        host: Option<&str>,
        sightings: Vec<ReportedObservation>,
    ) -> Result<ReportResult, SubmitError> {
        self.observe_for(&Caller::default(), by, host, sightings).await
    }

    /// Accepts observations by `by` of resources on `host`; returns when the new ones are durable.
    ///
    /// The registry skips an observation if no plugin holds the resource, if another host holds it, or if it is older
    /// than the last one. It also skips observations of plugins outside the caller's scope.
    ///
    /// # Errors
    ///
    /// If the caller may not report for the host, another agent does, or the store cannot be written.
    pub async fn observe_for(
        &self,
        asker: &Caller,
        by: &str,
        host: Option<&str>,
        sightings: Vec<ReportedObservation>,
    ) -> Result<ReportResult, SubmitError> {
        let principal = asker.principal.as_ref();
        if let Some(principal) = principal {
            authorization::require_host(principal, host)?;
        }
        let moment = self.clocks().look();
        let now = moment.wall;
        // Two agents that spell the host differently report for the same one.
        let host = host::normal_of(host);
        let host = host.as_deref();
        if let Some(host) = host
            && let Some((by, at)) = self.heartbeats().other_agent(host, by)
        {
            return Err(Refusal::AnotherAgent { host: host.into(), by, at }.into());
        }
        self.heartbeats().heard(host, by);
        let snapshot = self.snapshot_with(&sightings).await;
        let mut seen = ReportResult::default();
        let mut news: BTreeMap<UniqueId, PluginReport> = BTreeMap::new();
        for (index, sighting) in sightings.into_iter().enumerate() {
            let ReportedObservation { mut key, state, at, detail, identity, parent, abandoned } = sighting;
            let (detail, abandoned) = (detail.map(shortened), abandoned.map(shortened));
            let record = snapshot.state.plugin(key.plugin.as_str());
            // A host may have what the plugin left behind there, beside what it holds on another one.
            let is_here = |there: &str| host.is_some_and(|host| self.own_host().are_same(host, there));
            let is_meant =
                |slot: &Slot| (slot.kind, &slot.id) == (key.kind, &key.id) && slot.host.as_deref().is_some_and(is_here);
            let left_there =
                record.and_then(|record| record.holdings.left().map(|(slot, _)| slot).find(|slot| is_meant(slot)));
            if let Some(slot) = left_there {
                key = ResourceKey::of(&key.plugin, slot);
            }
            let slot = key.slot();
            let Some(record) = record.filter(|record| record.holds(&slot)) else {
                seen.ignored.push((index, format!("no plugin holds {key}")));
                continue;
            };
            if principal.is_some_and(|principal| !authorization::is_in_scope(principal, &record.plugin)) {
                seen.ignored.push((index, format!("{key} is outside the scope of the token")));
                continue;
            }
            // An observation cannot be from the future, nor from before the plugin was registered.
            let at = at.max(record.created_at).min(now);
            let last_alive = self.heartbeats().looks(&key, ObservedState::Alive).last;
            let look = ProbeResult { slot, state, at, heard_at: now, detail, identity, parent, abandoned, last_alive };
            let place = look.slot.host.as_deref().or(record.plugin.host.as_deref());
            let elsewhere = place.filter(|claimed| host.is_some_and(|host| !self.own_host().are_same(host, claimed)));
            if let Some(claimed) = elsewhere.filter(|_| key.kind != ResourceKind::Remote) {
                seen.ignored.push((index, format!("{key} is on the host {claimed}")));
                continue;
            }
            let known = record.holdings.get(&look.slot).and_then(|facts| facts.observation.as_ref());
            // An observation from the future is of a clock that was wrong. It says nothing about the order.
            let known_since = known.map(|known| known.since).filter(|since| *since <= now);
            if let Some(since) = known_since.filter(|since| look.at < *since) {
                seen.ignored.push((index, format!("{key} has a newer observation, of {since}")));
                continue;
            }
            seen.accepted += 1;
            let sighted = ObservationLabels { kind: key.kind.as_str(), state: look.state.as_str() };
            self.measures().sightings.get_or_create(&sighted).inc();
            let at = self.clocks().steady_of(look.at).min(moment.steady);
            self.heartbeats().saw(key.clone(), read(known, &look), at, known.is_none());
            let of_plugin = news.entry(key.plugin).or_default();
            of_plugin.is_news |= transition(record, by, &look).is_some();
            of_plugin.looks.push(look);
        }
        seen.revision = self.note(asker, by, news).await?;
        Ok(seen)
    }

    /// A snapshot with the plugins and resources that a report names, also those of which another process on the same
    /// store was told a moment ago. If the store does not answer, the snapshot that is there.
    async fn snapshot_with(&self, sightings: &[ReportedObservation]) -> Arc<Snapshot> {
        let snapshot = self.snapshot();
        let knows = |sighting: &ReportedObservation| {
            let record = snapshot.state.plugin(sighting.key.plugin.as_str());
            let is_meant = |slot: &Slot| (slot.kind, &slot.id) == (sighting.key.kind, &sighting.key.id);
            record.is_some_and(|record| {
                record.holds(&sighting.key.slot()) || record.holdings.left().any(|(slot, _)| is_meant(slot))
            })
        };
        if !sightings.iter().all(knows) && self.catch_up().await.is_ok() {
            return self.snapshot();
        }
        snapshot
    }

    /// Writes the new observations; returns the newest revision.
    async fn note(
        &self,
        asker: &Caller,
        by: &str,
        news: BTreeMap<UniqueId, PluginReport>,
    ) -> Result<Option<Revision>, SubmitError> {
        let mut pending: Vec<Pending> = Vec::new();
        for (id, PluginReport { looks, .. }) in news.into_iter().filter(|(_, news)| news.is_news) {
            let command = Command::Observe { id, by: by.into(), sightings: looks };
            pending.push(self.enqueue(Request::by(asker.clone(), command)).await?);
        }
        let mut newest = None;
        for pending in pending {
            newest = newest.max(Some(pending.outcome().await?.revision));
        }
        Ok(newest)
    }

    /// Adds the times of the last observations to rows of the current state.
    pub fn freshen(&self, rows: &mut [Resource]) {
        for row in rows.iter_mut().filter(|row| row.observed.is_some()) {
            let key = row.key();
            if let Some(observed) = &mut row.observed {
                let Looks { last, .. } = self.heartbeats().looks(&key, observed.state);
                observed.at = last.map_or(observed.at, |last| last.max(observed.at));
            }
        }
    }
}
