//! The rules of observations: which ones are changes, and when a finding is out of date. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::decision::Decision;
use super::request::{BasedOn, ProbeResult};
use crate::change::{ChangeKind, ConfigChange, EndReason, Event, HoldingAct};
use crate::plugin::{FreeJson, Plugin, UniqueId};
use crate::record::observation::ObservationChange;
use crate::record::{
    Abandoned, Facts, FindingChange, Holding, Naming, Observation, ObservedState, Record, ResourceRef, Slot,
};
use crate::revision::Revision;
use crate::state::State;

fn nothing(id: &UniqueId) -> Decision {
    Decision::nothing(Some(id.clone()))
}

fn done(id: &UniqueId, event: Event) -> Decision {
    Decision::one(event, Some(id.clone()))
}

/// Notes those looks that are news. Of several looks at one resource, only the newest counts.
pub(crate) fn observe(state: &State, id: &UniqueId, by: &str, looks: &[ProbeResult]) -> Decision {
    let Some(record) = state.plugin(id.as_str()) else { return nothing(id) };
    let held = slots(record);
    let mut newest: BTreeMap<&Slot, &ProbeResult> = BTreeMap::new();
    for look in looks.iter().filter(|look| held.contains(&look.slot)) {
        let known = newest.entry(&look.slot).or_insert(look);
        if known.at <= look.at {
            *known = look;
        }
    }
    let seen: Arc<[ObservationChange]> = newest
        .into_iter()
        .filter_map(|(slot, look)| {
            Some(ObservationChange { slot: slot.clone(), observation: transition(record, by, look)? })
        })
        .collect();
    if seen.is_empty() { nothing(id) } else { done(id, Event::ResourcesObserved { id: id.clone(), seen }) }
}

/// The observation after a probe result, if it differs from the last one.
pub fn transition(record: &Record, by: &str, look: &ProbeResult) -> Option<Observation> {
    let known = record.holdings.get(&look.slot).and_then(|facts| facts.observation.as_ref());
    let state = read(known, look);
    let abandoned = abandoned(known, look, state);
    match known {
        Some(known) if look.at < known.since && known.since <= look.heard_at => None,
        Some(known)
            if known.state == state
                && known.abandoned == abandoned
                && (known.identity.is_some() || look.identity.is_none())
                && (known.parent.is_some() || look.parent.is_none()) =>
        {
            None
        }
        known => Some(Observation {
            state,
            since: known.filter(|known| known.state == state).map_or(look.at, |known| known.since),
            by: by.into(),
            detail: look.detail.clone(),
            // The first probe sets the identity; later probes never change it.
            identity: known.and_then(|known| known.identity.clone()).or_else(|| look.identity.clone()),
            last_alive: last_alive(known, look).filter(|_| state != ObservedState::Alive),
            // As the identity.
            parent: known.and_then(|known| known.parent.clone()).or_else(|| look.parent.clone()),
            abandoned,
        }),
    }
}

/// Whether no process looks after a process, after a probe result. Only a probe that sees the process alive can tell.
fn abandoned(known: Option<&Observation>, look: &ProbeResult, state: ObservedState) -> Option<Abandoned> {
    let before = known.and_then(|known| known.abandoned.clone());
    match state {
        ObservedState::Alive => {
            let evidence = look.abandoned.clone()?;
            Some(before.unwrap_or(Abandoned { since: look.at, evidence }))
        }
        ObservedState::Unknown | ObservedState::Unreachable => before,
        ObservedState::Gone | ObservedState::Reused => None,
    }
}

/// The last time before this probe at which the resource was seen alive.
fn last_alive(known: Option<&Observation>, look: &ProbeResult) -> Option<Timestamp> {
    let alive = known.filter(|known| known.state == ObservedState::Alive).map(|known| known.since);
    let before = look.last_alive.filter(|last| *last <= look.at);
    let newest = [before, alive, known.and_then(|known| known.last_alive)].into_iter().flatten().max();
    // A time after this probe is of a clock that was wrong.
    newest.map(|last| last.min(look.at))
}

/// The state after a probe result. A resource with another identity is another resource, even if it is alive. A
/// resource that was gone returns only if its identity proves that it is the same.
pub fn read(known: Option<&Observation>, look: &ProbeResult) -> ObservedState {
    let Some(known) = known else { return look.state };
    match (&known.identity, &look.identity) {
        (Some(first), Some(now)) if look.state == ObservedState::Alive && !is_same(first, now) => ObservedState::Reused,
        (Some(_), None) if look.state == ObservedState::Alive && known.state.is_end() => known.state,
        _ => look.state,
    }
}

/// Returns true if and only if two identities are equal, whatever the order of their fields.
fn is_same(one: &FreeJson, other: &FreeJson) -> bool {
    one == other || one.to_value() == other.to_value()
}

/// Raises findings, unless the plugin or a lease changed after they were computed.
pub(crate) fn raise(state: &State, id: &UniqueId, ground: &BasedOn, findings: &[FindingChange]) -> Decision {
    if ground_of(state, id) != Some(*ground) || findings.is_empty() {
        return nothing(id);
    }
    done(id, Event::FindingsRaised { id: id.clone(), findings: findings.into() })
}

/// Writes a plugin again as it is, unless it changed.
pub(crate) fn correct_time(state: &State, id: &UniqueId, revision: Revision) -> Decision {
    let Some(record) = state.plugin(id.as_str()).filter(|record| record.revision == revision) else {
        return nothing(id);
    };
    let plugin = Arc::clone(&record.plugin);
    let (kind, config, naming) = (ChangeKind::PluginUpdated, ConfigChange::Kept, Naming::release());
    done(id, Event::PluginPut { kind, plugin, config, naming })
}

/// Clears findings, unless the plugin or a lease changed after that was computed.
pub(crate) fn clear(state: &State, id: &UniqueId, ground: &BasedOn, slots: &[Slot]) -> Decision {
    if ground_of(state, id) != Some(*ground) || slots.is_empty() {
        return nothing(id);
    }
    done(id, Event::FindingsCleared { id: id.clone(), slots: slots.into() })
}

/// Ends those of the listed resources that were left behind and seen gone.
pub(crate) fn end(state: &State, id: &UniqueId, ground: &BasedOn, slots: &[Slot]) -> Decision {
    let has_ended =
        |facts: &Facts| facts.left.is_some() && facts.observation.as_ref().is_some_and(|seen| seen.state.is_end());
    let act = |slots| HoldingAct::Ended { slots, reason: EndReason::SeenGone };
    act_on(state, id, ground, slots, has_ended, act)
}

/// Warns of the expiry of the listed resources.
pub(crate) fn warn(state: &State, id: &UniqueId, ground: &BasedOn, slots: &[Slot]) -> Decision {
    if ground_of(state, id) != Some(*ground) || slots.is_empty() {
        return nothing(id);
    }
    done(id, Event::Holdings { id: id.clone(), act: HoldingAct::ExpiresSoon { slots: slots.into() } })
}

/// Ends the acknowledgements of the listed resources.
pub(crate) fn unacknowledge(state: &State, id: &UniqueId, ground: &BasedOn, slots: &[Slot]) -> Decision {
    let act = |slots| HoldingAct::Unacknowledged { slots };
    act_on(state, id, ground, slots, |facts| facts.acknowledgement.is_some(), act)
}

/// Makes one change of those of the listed resources that meet a condition.
fn act_on(
    state: &State,
    id: &UniqueId,
    ground: &BasedOn,
    slots: &[Slot],
    is_meant: impl Fn(&Facts) -> bool,
    act: impl FnOnce(Arc<[Slot]>) -> HoldingAct,
) -> Decision {
    let Some(record) = state.plugin(id.as_str()).filter(|_| ground_of(state, id) == Some(*ground)) else {
        return nothing(id);
    };
    let meant = slots.iter().filter(|slot| record.holdings.get(slot).is_some_and(&is_meant)).cloned();
    let slots: Arc<[Slot]> = meant.collect();
    if slots.is_empty() { nothing(id) } else { done(id, Event::Holdings { id: id.clone(), act: act(slots) }) }
}

/// The revisions that a finding about a plugin depends on; `None` if there is no such plugin.
pub fn ground_of(state: &State, id: &UniqueId) -> Option<BasedOn> {
    state.plugin(id.as_str()).map(|record| ground(state, record))
}

/// The revisions that a finding about a plugin depends on.
pub fn ground(state: &State, record: &Record) -> BasedOn {
    let leases = record.holdings.leases().filter_map(|lease| state.lease(lease.as_str()));
    BasedOn { plugin: record.revision, lease: leases.map(|lease| lease.revision).max() }
}

/// Releases the listed resources that the plugin still holds and that were seen gone.
pub(crate) fn drop_gone(state: &State, id: &UniqueId, slots: &[Slot]) -> Decision {
    let Some(record) = state.plugin(id.as_str()) else { return nothing(id) };
    let is_gone = |held: &Holding<'_>| {
        slots.contains(&held.slot) && held.observation().is_some_and(|seen| seen.state == ObservedState::Gone)
    };
    let gone: Vec<Holding<'_>> = record.held().filter(is_gone).collect();
    let slots = gone.iter().map(|held| held.slot.clone()).collect();
    without(record, &gone, HoldingAct::Ended { slots, reason: EndReason::SeenGone })
}

/// The decision that a plugin no longer holds some resources: its document without them, then the act.
pub(crate) fn without(record: &Record, ended: &[Holding<'_>], act: HoldingAct) -> Decision {
    let id = &record.unique_id;
    if ended.is_empty() {
        return nothing(id);
    }
    let mut plugin = Plugin::clone(&record.plugin);
    let mut pids = BTreeSet::new();
    for held in ended.iter().filter(|held| held.left().is_none()) {
        match held.resource {
            ResourceRef::Process(pid) => drop(pids.insert(pid)),
            ResourceRef::Container(_) => plugin.container_id = None,
            ResourceRef::Remote(_) => plugin.remote_resource = None,
        }
    }
    if !pids.is_empty() {
        let left: Vec<_> = plugin.spawned_pids.iter().filter(|pid| !pids.contains(pid)).collect();
        plugin.spawned_pids = left.into();
    }
    let mut events = Vec::with_capacity(2);
    if plugin != *record.plugin {
        let (kind, naming) = (ChangeKind::between(Some(&record.plugin), &plugin), Naming::release());
        events.push(Event::PluginPut { kind, plugin: Arc::new(plugin), config: ConfigChange::Kept, naming });
    }
    events.push(Event::Holdings { id: id.clone(), act });
    Decision { events, subject: Some(id.clone()), results: Vec::new() }
}

fn slots(record: &Record) -> BTreeSet<Slot> {
    record.held().map(|held| held.slot).collect()
}
