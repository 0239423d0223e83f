//! The rule for the release of many resources at once: each is released or refused by itself, and the resources of a
//! plugin are released together.

use std::collections::{BTreeMap, BTreeSet};

use super::authorization;
use super::decision::Decision;
use super::observation_rules::without;
use super::refusal::Refusal;
use super::request::{Command, ReleaseItem};
use crate::access::Principal;
use crate::change::{Event, HoldingAct};
use crate::plugin::UniqueId;
use crate::record::{Holding, Record, Slot};
use crate::state::State;

/// What a release of many resources does to each plugin, and what becomes of each item.
///
/// The results have the order of the items. A refused item changes nothing, and refuses no other.
pub fn plan(state: &State, principal: Option<&Principal>, items: &[ReleaseItem]) -> Decision {
    let mut plugins: BTreeMap<&UniqueId, BTreeSet<Slot>> = BTreeMap::new();
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let slot = held(state, principal, item);
        results.push(slot.as_ref().map(|_| item.id.clone()).map_err(Clone::clone));
        if let Ok(slot) = slot {
            plugins.entry(&item.id).or_default().insert(slot);
        }
    }
    let decisions = plugins.into_iter().filter_map(|(id, slots)| Some(released(state.plugin(id.as_str())?, &slots)));
    Decision { events: decisions.flatten().collect(), subject: None, results }
}

/// Whether a principal may still get the answer to such a release: if it may release one of the items at least.
pub(super) fn require_right_to_one(state: &State, principal: &Principal, items: &[ReleaseItem]) -> Result<(), Refusal> {
    let mut refused = None;
    for item in items {
        match require_right(state, principal, item) {
            Ok(()) => return Ok(()),
            Err(refusal) => refused = Some(refusal),
        }
    }
    refused.map_or(Ok(()), Err)
}

fn require_right(state: &State, principal: &Principal, item: &ReleaseItem) -> Result<(), Refusal> {
    let command = Command::Release { id: item.id.clone(), slots: Vec::new() };
    authorization::right_to(principal, state, &command).map(|_| ())
}

/// The slot of an item that its plugin holds, and that the principal may release.
fn held(state: &State, principal: Option<&Principal>, item: &ReleaseItem) -> Result<Slot, Refusal> {
    let record = state.plugin(item.id.as_str()).ok_or_else(|| Refusal::NotFound(item.id.clone()))?;
    if let Some(principal) = principal {
        require_right(state, principal, item)?;
    }
    if item.if_revision.is_some_and(|wanted| wanted != record.revision) {
        return Err(Refusal::PreconditionFailed { current: Some(record.revision) });
    }
    let slot = record.named(item.slot.clone());
    if record.holds(&slot) { Ok(slot) } else { Err(Refusal::NotHeld { id: item.id.clone(), slot }) }
}

fn released(record: &Record, meant: &BTreeSet<Slot>) -> Vec<Event> {
    let released: Vec<Holding<'_>> = record.held().filter(|held| meant.contains(&held.slot)).collect();
    let slots = released.iter().map(|held| held.slot.clone()).collect();
    without(record, &released, HoldingAct::Released { slots }).events
}
