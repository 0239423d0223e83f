//! The rules of holdings: what becomes of each resource when a plugin's document changes. Pure.
//!
//! A resource ends in two ways only: a client releases it by name, or it is seen gone. A document that no longer names
//! it does not end it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::claim::{Claim, Expiry, LeftBehind, Origin};
use super::document::Record;
use super::finding::Finding;
use super::holdings::{Facts, Holding, Holdings};
use super::observation::{Observation, ObservedState};
use super::resource::{ResourceKind, ResourceRef, Slot, resources_of};
use crate::host;
use crate::lease::LeaseId;
use crate::plugin::pids::MAX_PIDS;
use crate::plugin::{Pids, Plugin};

/// What a request says about the holdings of its plugin, beyond the document that results from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Naming {
    /// The processes that the request names.
    #[serde(default, skip_serializing_if = "NamedPids::is_none")]
    pub processes: NamedPids,
    /// Whether it names the container.
    #[serde(default, skip_serializing_if = "is_false")]
    pub container: bool,
    /// Whether it names the remote resource.
    #[serde(default, skip_serializing_if = "is_false")]
    pub remote: bool,
    /// What becomes of a resource that the document no longer names.
    #[serde(default, skip_serializing_if = "Unnamed::is_left")]
    pub unnamed: Unnamed,
    /// Until when the named resources are meant to be held; `None` if the request does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Until>,
}

/// The time until which something is meant to be held; `None` for no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Until(pub Option<Timestamp>);

/// The processes that a request names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedPids {
    /// None.
    #[default]
    None,
    /// All of the resulting document.
    All,
    /// These.
    Only(Pids),
}

/// What becomes of a resource that the document no longer names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unnamed {
    /// It is left behind if it may still run or bill.
    #[default]
    Left,
    /// It is released: the request names it for that, or it was seen gone.
    Released,
    /// The change is older than claims: the registry forgot the resource.
    Forgotten,
}

impl NamedPids {
    fn is_none(&self) -> bool {
        *self == NamedPids::None
    }
}

impl Unnamed {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_left(&self) -> bool {
        *self == Unnamed::Left
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Naming {
    /// A request that names everything in the document.
    pub fn all() -> Naming {
        Naming { processes: NamedPids::All, container: true, remote: true, ..Naming::default() }
    }

    /// A request that releases what the document no longer names.
    pub fn release() -> Naming {
        Naming { unnamed: Unnamed::Released, ..Naming::default() }
    }

    /// A change that is older than claims.
    pub fn legacy() -> Naming {
        Naming { unnamed: Unnamed::Forgotten, ..Naming::default() }
    }

    fn names(&self, resource: ResourceRef<'_>) -> bool {
        match resource {
            ResourceRef::Process(pid) => match &self.processes {
                NamedPids::None => false,
                NamedPids::All => true,
                NamedPids::Only(pids) => pids.contains(pid),
            },
            ResourceRef::Container(_) => self.container,
            ResourceRef::Remote(_) => self.remote,
        }
    }

    fn names_any(&self) -> bool {
        self.processes != NamedPids::None || self.container || self.remote
    }
}

/// The holdings after a change of a plugin's document.
#[derive(Debug)]
pub(crate) struct Succession {
    /// The holdings.
    pub holdings: Holdings,
    /// What the change left behind.
    pub left: Vec<Slot>,
    /// What was left behind before, and is dropped because the plugin holds too much.
    pub dropped: Vec<Slot>,
}

/// Works out what becomes of the holdings of `before` when `plugin` replaces its document at `at`.
pub(crate) fn succeed(
    before: Option<&Record>,
    plugin: &Plugin,
    naming: &Naming,
    at: Timestamp,
    by: &Origin,
) -> Succession {
    let none = |holdings| Succession { holdings, left: Vec::new(), dropped: Vec::new() };
    if naming.unnamed == Unnamed::Forgotten {
        let kept = before.map(|record| record.holdings.kept_for(&record.plugin, plugin)).unwrap_or_default();
        return none(kept.completed(plugin, at));
    }
    let fresh = || {
        let lease_id = plugin.lease_id.as_deref().map(LeaseId::named);
        let expiry = naming.expires_at.and_then(|until| Some(Expiry { at: until.0?, set_at: at }));
        Arc::new(Claim { held_since: at, lease_id, by: by.clone(), expiry })
    };
    let holds_before = before.filter(|record| record.holds_anything());
    let Some(before) = holds_before else {
        return none(if plugin.holds_anything() { Holdings::under(fresh()) } else { Holdings::default() });
    };
    if !changes_holdings(before, plugin, naming) {
        return none(before.holdings.clone());
    }
    Heirs { before, plugin, naming, at, by, fresh: fresh() }.divide()
}

/// Whether a change of a document may change its plugin's holdings.
pub(crate) fn changes_holdings(before: &Record, plugin: &Plugin, naming: &Naming) -> bool {
    let old = &before.plugin;
    let same_slots = old.spawned_pids == plugin.spawned_pids
        && old.container_id == plugin.container_id
        && match (&old.remote_resource, &plugin.remote_resource) {
            (Some(one), Some(other)) => one == other || (one.is_same(other) && one.id() == other.id()),
            (one, other) => one.is_none() && other.is_none(),
        }
        && !is_moved(old, plugin);
    !same_slots || reclaims(before, plugin, naming)
}

/// Whether a request claims a resource anew that its plugin holds already: under another lease, or with another expiry.
pub(crate) fn reclaims(before: &Record, plugin: &Plugin, naming: &Naming) -> bool {
    naming.names_any()
        && before.holdings.iter(&before.plugin).any(|held| {
            let lease = held.claim.lease_id.as_ref().map(LeaseId::as_str);
            let expiry = held.claim.expiry.map(|expiry| expiry.at);
            held.left().is_none()
                && naming.names(held.resource)
                && (lease != plugin.lease_id.as_deref() || naming.expires_at.is_some_and(|until| until.0 != expiry))
        })
}

/// Whether a plugin changed its host. A plugin that names its first host, or none any longer, stays where it is.
fn is_moved(before: &Plugin, after: &Plugin) -> bool {
    match (&before.host, &after.host) {
        (Some(one), Some(other)) => !host::is_same(one, other),
        _ => false,
    }
}

/// The division of holdings between those that go on, those left behind, and those that end.
struct Heirs<'a> {
    before: &'a Record,
    plugin: &'a Plugin,
    naming: &'a Naming,
    at: Timestamp,
    by: &'a Origin,
    fresh: Arc<Claim>,
}

impl Heirs<'_> {
    fn divide(self) -> Succession {
        let moved = is_moved(&self.before.plugin, self.plugin);
        let old: BTreeMap<Slot, Holding<'_>> =
            self.before.holdings.iter(&self.before.plugin).map(|held| (held.slot.clone(), held)).collect();
        let mut facts: BTreeMap<Slot, Facts> = BTreeMap::new();
        let mut taken: BTreeSet<Slot> = BTreeSet::new();
        let mut renewed: Renewals = Renewals::default();
        for resource in resources_of(self.plugin) {
            let slot = resource.slot();
            let heir = self.predecessor(resource, &slot, &old, moved);
            let fact = match heir {
                None => Facts { claim: Some(Arc::clone(&self.fresh)), ..Facts::default() },
                Some(held) => {
                    taken.insert(held.slot.clone());
                    self.inherit(held, resource, &mut renewed)
                }
            };
            facts.insert(slot, fact);
        }
        let mut left = Vec::new();
        for (slot, held) in old.into_iter().filter(|(slot, _)| !taken.contains(slot)) {
            let was_left = held.left().is_some();
            if !was_left && !self.remains(&held) {
                continue;
            }
            let slot = self.relocated(&slot, &held);
            if !was_left {
                left.push(slot.clone());
            }
            facts.insert(slot, self.leave(&held));
        }
        let dropped = drop_surplus(&mut facts);
        left.retain(|slot| facts.contains_key(slot));
        let shared = resources_of(self.plugin).next().and_then(|first| facts.get(&first.slot())?.claim.clone());
        if facts.is_empty() {
            return Succession { holdings: Holdings::default(), left, dropped };
        }
        let shared = shared.or_else(|| facts.values().find_map(|fact| fact.claim.clone())).unwrap_or(self.fresh);
        Succession { holdings: Holdings::of(facts, shared), left, dropped }
    }

    /// The earlier holding of a resource that the document names now.
    fn predecessor<'b, 'c>(
        &self,
        resource: ResourceRef<'_>,
        slot: &Slot,
        old: &'b BTreeMap<Slot, Holding<'c>>,
        moved: bool,
    ) -> Option<&'b Holding<'c>> {
        if let ResourceRef::Remote(remote) = resource {
            let is_same = |held: &&Holding<'_>| match held.resource {
                // What was left behind without an id is not what a later request names.
                ResourceRef::Remote(before) if held.left().is_some() => before.id() == remote.id(),
                ResourceRef::Remote(before) => before.is_same(remote),
                ResourceRef::Process(_) | ResourceRef::Container(_) => false,
            };
            // The document's own goes before one that was left behind.
            return old.values().filter(is_same).min_by_key(|held| held.left().is_some());
        }
        if moved {
            let returned = Slot { host: self.plugin.host.as_deref().map(Into::into), ..slot.clone() };
            return old.get(&self.before.named(returned));
        }
        old.get(slot)
    }

    /// The facts of a resource that the document still names, or names again.
    fn inherit(&self, held: &Holding<'_>, resource: ResourceRef<'_>, renewed: &mut Renewals) -> Facts {
        let known = held.facts.cloned().unwrap_or_default();
        let claim = self.before.holdings.claim_of(&held.slot);
        let expiry = claim.expiry.map(|expiry| expiry.at);
        let until = self.naming.expires_at.map_or(expiry, |until| until.0);
        let named = self.naming.names(resource);
        if !named || (held.left().is_none() && claim.lease_id == self.fresh.lease_id && until == expiry) {
            return Facts { claim: Some(claim), left: None, ..known };
        }
        let other_lease = held.left().is_some() || claim.lease_id != self.fresh.lease_id;
        let ended = known.observation.as_ref().is_some_and(|seen| seen.state.is_end());
        if other_lease && ended {
            // The earlier one has ended: this is a new one of the same name.
            return Facts { claim: Some(Arc::clone(&self.fresh)), ..Facts::default() };
        }
        let mut facts = Facts { claim: Some(renewed.of(&claim, &self.fresh, until, self.at)), left: None, ..known };
        if held.left().is_some() {
            facts.finding = None;
            facts.acknowledgement = None;
            if let Some(seen) = facts.observation.as_mut().filter(|_| held.slot.kind == ResourceKind::Process) {
                // The new lease may mean a new process with the same number: the next look tells.
                (seen.identity, seen.parent, seen.abandoned) = (None, None, None);
            }
        }
        facts
    }

    /// Whether a resource stays although the document no longer names it.
    fn remains(&self, held: &Holding<'_>) -> bool {
        let ended = held.observation().is_some_and(|seen| seen.state.is_end());
        self.naming.unnamed == Unnamed::Left
            && !ended
            && (held.is_billable() || held.observation().is_some_and(Observation::may_live))
    }

    /// The name of a resource that the document does not name, within the plugin as it is now.
    fn relocated(&self, slot: &Slot, held: &Holding<'_>) -> Slot {
        let host = held.host.filter(|host| self.plugin.host.as_deref().is_some_and(|now| !host::is_same(now, host)));
        Slot { host: host.map(Into::into), ..slot.clone() }
    }

    fn leave(&self, held: &Holding<'_>) -> Facts {
        let known = held.facts.cloned().unwrap_or_default();
        let claim = Some(self.before.holdings.claim_of(&held.slot));
        if known.left.is_some() {
            return Facts { claim, ..known };
        }
        let remote = match held.resource {
            ResourceRef::Remote(remote) => Some(remote.clone()),
            ResourceRef::Process(_) | ResourceRef::Container(_) => None,
        };
        let left = LeftBehind { at: self.at, by: self.by.clone(), remote };
        // A finding stays, with the evidence of both.
        let finding = known.finding.map(|raised| Finding {
            evidence: format!(
                "{}; {}",
                raised.evidence.replacen(" is claimed by ", " was claimed by ", 1),
                left.in_words()
            )
            .into(),
            ..raised
        });
        Facts { claim, left: Some(Box::new(left)), finding, ..known }
    }
}

/// Claims under the new lease, each made once.
#[derive(Default)]
struct Renewals(Vec<(Arc<Claim>, Arc<Claim>)>);

impl Renewals {
    /// The claim of a resource that was held already, under the lease of `fresh`.
    fn of(&mut self, before: &Arc<Claim>, fresh: &Claim, until: Option<Timestamp>, at: Timestamp) -> Arc<Claim> {
        if let Some((_, after)) = self.0.iter().find(|(known, _)| known == before) {
            return Arc::clone(after);
        }
        let kept = before.expiry.filter(|expiry| Some(expiry.at) == until);
        let expiry = kept.or_else(|| Some(Expiry { at: until?, set_at: at }));
        let after = Arc::new(Claim { held_since: before.held_since, expiry, ..fresh.clone() });
        self.0.push((Arc::clone(before), Arc::clone(&after)));
        after
    }
}

/// Drops what was left behind longest and cannot be seen any longer, if the plugin holds too many processes.
fn drop_surplus(facts: &mut BTreeMap<Slot, Facts>) -> Vec<Slot> {
    let processes = facts.keys().filter(|slot| slot.kind == ResourceKind::Process).count();
    let surplus = processes.saturating_sub(MAX_PIDS);
    if surplus == 0 {
        return Vec::new();
    }
    let unseen = |fact: &Facts| fact.observation.as_ref().is_none_or(|seen| seen.state != super::ObservedState::Alive);
    let candidates = facts.iter().filter(|(slot, fact)| slot.kind == ResourceKind::Process && unseen(fact));
    let mut left: Vec<(Timestamp, Slot)> =
        candidates.filter_map(|(slot, fact)| Some((fact.left.as_ref()?.at, slot.clone()))).collect();
    left.sort();
    let dropped: Vec<Slot> = left.into_iter().take(surplus).map(|(_, slot)| slot).collect();
    for slot in &dropped {
        facts.remove(slot);
    }
    dropped
}
impl Holdings {
    /// Returns true if and only if something may still run or bill, so that it can be stopped.
    pub(crate) fn can_stop(&self, plugin: &Plugin) -> bool {
        let ended = |seen: &Observation| matches!(seen.state, ObservedState::Gone | ObservedState::Reused);
        self.iter(plugin).any(|held| held.may_run() && !held.observation().is_some_and(ended))
    }
}
