//! What was held when, as claimed and as seen: a lane for each resource.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::pace::{Pace, paced};
use crate::host::HostNames;
use crate::index::IndexKey;
use crate::plugin::{ExecutionMode, FreeJson, Labels, Name, Pids, Plugin, RemoteResource, UniqueId};
use crate::record::{
    ClaimState, FindingKind, Holding, Holdings, ObservedState, Record, ResourceKind, Slot, finding_rules,
};
use crate::state::State;

/// A query for lanes. A condition that is `None` accepts everything.
#[derive(Debug, Clone)]
pub struct SpanQuery {
    /// The start of the time.
    pub from: Timestamp,
    /// The end of the time.
    pub to: Timestamp,
    /// Of this plugin.
    pub plugin: Option<UniqueId>,
    /// Of this kind.
    pub kind: Option<ResourceKind>,
    /// On the host of these names.
    pub host: Option<HostNames>,
    /// The maximum number of lanes.
    pub limit: usize,
}

/// A value and the time for which it was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<T> {
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` if it was still true at the end.
    pub to: Option<Timestamp>,
    /// The value.
    pub value: T,
}

/// The values of one property over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track<T>(Vec<Span<T>>);

impl<T> Default for Track<T> {
    fn default() -> Track<T> {
        Track(Vec::new())
    }
}

impl<T: Copy + PartialEq> Track<T> {
    /// The spans, in order.
    pub fn spans(&self) -> &[Span<T>] {
        &self.0
    }

    /// Sets the value from a time on.
    fn set(&mut self, value: Option<T>, at: Timestamp) {
        let open = self.0.last_mut().filter(|last| last.to.is_none());
        if open.as_ref().map(|last| last.value) == value {
            return;
        }
        if let Some(last) = open {
            last.to = Some(at);
        }
        self.0.extend(value.map(|value| Span { from: at, to: None, value }));
    }
}

/// What a plugin holds: a record without its serialised document, whose making would cost more than all the rest.
#[derive(Debug, Clone)]
pub struct HeldState {
    plugin: Arc<Plugin>,
    holdings: Holdings,
}

/// The parts of a stored document that say what a plugin holds. A schema is the longest part of most documents, and is
/// skipped.
#[derive(Deserialize)]
struct HeldDocument {
    name: Name,
    category: Name,
    #[serde(default)]
    spawned_pids: Pids,
    container_id: Option<String>,
    remote_resource: Option<RemoteResource>,
    host: Option<String>,
    lease_id: Option<String>,
}

impl HeldState {
    /// What a plugin of this document holds after a change at `at`.
    ///
    /// # Errors
    ///
    /// If the document is damaged.
    pub fn read(document: &str, holdings: Holdings, at: Timestamp) -> Result<HeldState, serde_json::Error> {
        let read: HeldDocument = serde_json::from_str(document)?;
        let plugin = Plugin {
            name: read.name,
            category: read.category,
            spawned_pids: read.spawned_pids,
            container_id: read.container_id,
            remote_resource: read.remote_resource,
            host: read.host,
            lease_id: read.lease_id,
            title: String::new(),
            config_schema: FreeJson::empty_object(),
            description: None,
            version: None,
            is_configured: false,
            execution_mode: ExecutionMode::default(),
            manages_child_processes: false,
            manages_external_resources: false,
            conda_env_name: None,
            labels: Labels::default(),
        };
        let holdings = holdings.completed(&plugin, at);
        Ok(HeldState { plugin: Arc::new(plugin), holdings })
    }
}

impl From<&Record> for HeldState {
    fn from(record: &Record) -> HeldState {
        HeldState { plugin: Arc::clone(&record.plugin), holdings: record.holdings.clone() }
    }
}

/// What a plugin holds since a change.
#[derive(Debug, Clone)]
pub struct HeldChange {
    /// When it changed.
    pub at: Timestamp,
    /// The plugin.
    pub id: UniqueId,
    /// What it holds; `None` if it was removed.
    pub held: Option<HeldState>,
}

/// The history of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lane {
    /// Its host, as last known.
    pub host: Option<Box<str>>,
    /// When its plugin claimed it, and when it had left it behind.
    pub claims: Track<ClaimState>,
    /// The observed states.
    pub seen: Track<ObservedState>,
    /// The findings, also the acknowledged ones.
    pub findings: Track<FindingKind>,
}

/// Lanes by plugin and resource.
pub type Lanes = BTreeMap<(UniqueId, Slot), Lane>;

/// Lanes in the making: changes are added in their order.
#[derive(Debug)]
pub struct LaneBuilder {
    query: SpanQuery,
    lanes: Lanes,
    /// What each plugin holds now.
    standing: HashMap<UniqueId, BTreeSet<Slot>>,
    is_cut: bool,
}

impl LaneBuilder {
    /// The lanes of what is held at the beginning: in `state`, except the plugins in `prior`, which changed since then.
    ///
    /// # Errors
    ///
    /// If the pace stops the scan.
    pub fn begin<P: Pace>(
        query: SpanQuery,
        state: &State,
        prior: &BTreeMap<UniqueId, Option<HeldState>>,
        pace: &P,
    ) -> Result<LaneBuilder, P::Stop> {
        let from = query.from;
        let mut builder = LaneBuilder { query, lanes: Lanes::new(), standing: HashMap::new(), is_cut: false };
        let holding = state.having(&IndexKey::Holding).into_iter();
        let standing = paced(holding.flat_map(|records| records.values()), pace);
        let mut begun: BTreeMap<&UniqueId, HeldState> = BTreeMap::new();
        for record in standing {
            let record = record?;
            if !prior.contains_key(&record.unique_id) {
                begun.insert(&record.unique_id, HeldState::from(&**record));
            }
        }
        begun.extend(prior.iter().filter_map(|(id, held)| Some((id, held.clone()?))));
        for (id, held) in begun {
            builder.look(id, Some(&held), from);
        }
        Ok(builder)
    }

    /// Adds a change.
    pub fn add(&mut self, change: &HeldChange) {
        self.look(&change.id, change.held.as_ref(), change.at);
    }

    /// The lanes, and whether some are left out because there are too many.
    pub fn end(self) -> (Lanes, bool) {
        (self.lanes, self.is_cut)
    }

    fn look(&mut self, id: &UniqueId, after: Option<&HeldState>, at: Timestamp) {
        if self.query.plugin.as_ref().is_some_and(|plugin| plugin != id) {
            return;
        }
        let mut held: BTreeSet<Slot> = BTreeSet::new();
        for holding in after.into_iter().flat_map(|after| after.holdings.iter(&after.plugin)) {
            if self.is_wanted(&holding) {
                self.note(id, &holding, at);
            }
            held.insert(holding.slot);
        }
        let before =
            if held.is_empty() { self.standing.remove(id) } else { self.standing.insert(id.clone(), held.clone()) };
        for slot in before.unwrap_or_default().difference(&held) {
            if let Some(lane) = self.lanes.get_mut(&(id.clone(), slot.clone())) {
                lane.claims.set(None, at);
                lane.seen.set(None, at);
                lane.findings.set(None, at);
            }
        }
    }

    fn is_wanted(&self, holding: &Holding<'_>) -> bool {
        let hosts = self.query.host.as_ref();
        self.query.kind.is_none_or(|kind| kind == holding.slot.kind)
            && hosts.is_none_or(|hosts| holding.host.is_some_and(|host| hosts.contains(host)))
    }

    fn note(&mut self, id: &UniqueId, holding: &Holding<'_>, at: Timestamp) {
        let key = (id.clone(), holding.slot.clone());
        if self.lanes.len() >= self.query.limit && !self.lanes.contains_key(&key) {
            self.is_cut = true;
            return;
        }
        let lane = self.lanes.entry(key).or_default();
        lane.host = holding.host.map(Into::into);
        lane.claims.set(Some(holding.claim_state()), at);
        lane.seen.set(holding.observation().map(|seen| seen.state), at);
        lane.findings.set(finding_rules::shown(holding), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_track_has_a_span_for_each_value() {
        let mut track = Track::default();
        for (value, second) in [(Some(1), 1), (Some(1), 2), (Some(2), 3), (None, 4), (None, 5), (Some(1), 6)] {
            track.set(value, at(second));
        }
        let span = |from, to: Option<i64>, value| Span { from: at(from), to: to.map(at), value };
        assert_eq!(track.spans(), [span(1, Some(3), 1), span(3, Some(4), 2), span(6, None, 1)]);
    }
}
