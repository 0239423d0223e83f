//! What a plugin holds: the claim of each resource, its observation and its finding.
//!
//! A plugin's document names the resources that it claims. [`Holdings`] has the rest: who claimed each and under which
//! lease, what was left behind, what probes saw. Resources of one request share their claim, so that a plugin with a
//! thousand processes has one claim and no entry for a process about which nothing else is known.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::claim::{Acknowledgement, Claim, ClaimState, LeftBehind, Origin};
use super::finding::{Finding, FindingKind};
use super::observation::{Observation, ObservedState};
use super::resource::{ResourceKind, ResourceRef, Slot, resources_of};
use super::stop::Stop;
use crate::host;
use crate::lease::LeaseId;
use crate::plugin::{FreeJson, Plugin, container_id};

/// Everything known about one resource beside the plugin's document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Its own claim; `None` if it is that of the plugin's other resources.
    pub(crate) claim: Option<Arc<Claim>>,
    /// How the plugin left it behind; `None` if the document names it.
    pub left: Option<Box<LeftBehind>>,
    /// The observation; `None` if there is none.
    pub observation: Option<Observation>,
    /// The finding, if any.
    pub finding: Option<Finding>,
    /// The acknowledgement of the finding.
    pub acknowledgement: Option<Box<Acknowledgement>>,
    /// The expiry that the registry has warned of.
    pub warned: Option<Timestamp>,
}

impl Facts {
    /// Returns true if and only if there is nothing but a claim.
    fn is_claim_only(&self) -> bool {
        *self == Facts { claim: self.claim.clone(), ..Facts::default() }
    }

    /// The full id of a container, as observed.
    pub fn container_id(&self) -> Option<String> {
        let identity = self.observation.as_ref()?.identity.as_ref()?;
        let text = identity.as_str();
        // Most identities are those of processes, so the search avoids parsing them.
        if !text.contains("\"container_id\"") {
            return None;
        }
        identity.to_value().get("container_id")?.as_str().map(str::to_owned)
    }

    /// The finding, unless a client has acknowledged it.
    pub fn open_finding(&self) -> Option<FindingKind> {
        let finding = self.finding.as_ref()?.finding;
        (!self.acknowledges(finding)).then_some(finding)
    }

    /// Whether a client has acknowledged a finding of this kind.
    pub fn acknowledges(&self, finding: FindingKind) -> bool {
        self.acknowledgement.as_ref().is_some_and(|acknowledged| acknowledged.finding == finding)
    }
}

/// The holdings of a plugin. Cheap to clone; nothing for a plugin that holds nothing.
#[derive(Debug, Clone, Default)]
pub struct Holdings(Option<Arc<Entries>>);

#[derive(Debug, Clone)]
struct Entries {
    /// The claim of every resource without one of its own.
    claim: Arc<Claim>,
    /// Whether the claims are presumed: the store is older than claims.
    is_presumed: bool,
    facts: BTreeMap<Slot, Facts>,
    /// The request to stop what the plugin holds, if there is one.
    stop: Option<Arc<Stop>>,
}

/// The claim of resources in stores that are older than claims, before their plugin is known.
static UNKNOWN: LazyLock<Arc<Claim>> = LazyLock::new(|| presumed(Timestamp::UNIX_EPOCH, None));

/// The claim of a resource that was claimed before claims were recorded.
fn presumed(held_since: Timestamp, lease_id: Option<&str>) -> Arc<Claim> {
    Arc::new(Claim { held_since, lease_id: lease_id.map(LeaseId::named), by: Origin::default(), expiry: None })
}

/// One held resource.
#[derive(Debug, Clone)]
pub struct Holding<'a> {
    /// Its name within the plugin.
    pub slot: Slot,
    /// The resource, as the plugin describes it, or last described it.
    pub resource: ResourceRef<'a>,
    /// Its claim.
    pub claim: &'a Claim,
    /// What else is known about it.
    pub facts: Option<&'a Facts>,
    /// Its host; `None` if unknown, and for remote resources.
    pub host: Option<&'a str>,
}

impl<'a> Holding<'a> {
    /// How the plugin left it behind, if it did.
    pub fn left(&self) -> Option<&'a LeftBehind> {
        self.facts.and_then(|facts| facts.left.as_deref())
    }

    /// Whether the plugin still names it.
    pub fn claim_state(&self) -> ClaimState {
        if self.left().is_some() { ClaimState::LeftBehind } else { ClaimState::Claimed }
    }

    /// Its observation.
    pub fn observation(&self) -> Option<&'a Observation> {
        self.facts.and_then(|facts| facts.observation.as_ref())
    }

    /// Whether it may run or bill: the plugin claims so, or it was seen alive and not since seen to have ended.
    pub fn may_run(&self) -> bool {
        match self.resource {
            ResourceRef::Remote(remote) => remote.is_billable(),
            ResourceRef::Process(_) | ResourceRef::Container(_) => true,
        }
    }

    /// Whether a provider may charge for it.
    pub fn is_billable(&self) -> bool {
        self.resource.is_billable()
    }
}

/// The size of a resource's facts beside their texts, in bytes.
const FACT_BYTES: usize = 64;

impl Facts {
    /// Its texts that clients chose, in bytes.
    fn bytes(&self) -> usize {
        let json = |json: &Option<FreeJson>| json.as_ref().map_or(0, |json| json.as_str().len());
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let of_observation = self.observation.as_ref().map_or(0, |seen| {
            let abandoned = seen.abandoned.as_ref().map_or(0, |why| why.evidence.len());
            json(&seen.identity) + json(&seen.parent) + text(&seen.detail) + seen.by.len() + abandoned
        });
        of_observation + self.finding.as_ref().map_or(0, |finding| finding.evidence.len())
    }
}

impl Holdings {
    /// The bytes of what was observed and found beside the claims.
    pub fn bytes(&self) -> u64 {
        self.facts().map(|(slot, facts)| (FACT_BYTES + slot.id.len() + facts.bytes()) as u64).sum()
    }

    /// New holdings, all under one claim.
    pub(crate) fn under(claim: Arc<Claim>) -> Holdings {
        Holdings(Some(Arc::new(Entries { claim, is_presumed: false, facts: BTreeMap::new(), stop: None })))
    }

    /// Holdings with these facts, each with its claim. The most frequent claim is stored once.
    pub(crate) fn of(facts: BTreeMap<Slot, Facts>, of_the_rest: Arc<Claim>) -> Holdings {
        let mut facts = facts;
        for fact in facts.values_mut() {
            if fact.claim.as_ref().is_some_and(|claim| **claim == *of_the_rest) {
                fact.claim = None;
            }
        }
        facts.retain(|_, fact| *fact != Facts::default());
        Holdings(Some(Arc::new(Entries { claim: of_the_rest, is_presumed: false, facts, stop: None })))
    }

    /// Facts from a store that is older than claims.
    fn presumed(facts: BTreeMap<Slot, Facts>) -> Holdings {
        Holdings(Some(Arc::new(Entries { claim: Arc::clone(&UNKNOWN), is_presumed: true, facts, stop: None })))
    }

    /// These holdings with the claims that a plugin's document and its newest change suggest, if they are unknown.
    #[must_use]
    pub(crate) fn completed(self, plugin: &Plugin, updated_at: Timestamp) -> Holdings {
        if self.stop().is_some() && !self.can_stop(plugin) {
            return self.with_stop(None).completed(plugin, updated_at);
        }
        let facts = match &self.0 {
            None => BTreeMap::new(),
            Some(entries) if !entries.is_presumed && (plugin.holds_anything() || !entries.facts.is_empty()) => {
                return self;
            }
            Some(entries) => entries.facts.clone(),
        };
        if facts.is_empty() && !plugin.holds_anything() {
            return Holdings::default();
        }
        let claim = presumed(updated_at, plugin.lease_id.as_deref());
        Holdings(Some(Arc::new(Entries { claim, is_presumed: true, facts, stop: None })))
    }

    /// Every held resource: those that the plugin's document names, in its order, then those left behind.
    pub fn iter<'a>(&'a self, plugin: &'a Plugin) -> impl Iterator<Item = Holding<'a>> {
        resources_of(plugin).map(|resource| self.claimed(resource, plugin)).chain(self.left_of(plugin))
    }

    /// The resource at an index of [`Holdings::iter`], without making those before it.
    pub fn nth<'a>(&'a self, plugin: &'a Plugin, index: usize) -> Option<Holding<'a>> {
        if let Some(resource) = resources_of(plugin).nth(index) {
            return Some(self.claimed(resource, plugin));
        }
        self.left_of(plugin).nth(index - resources_of(plugin).count())
    }

    fn claimed<'a>(&'a self, resource: ResourceRef<'a>, plugin: &'a Plugin) -> Holding<'a> {
        self.holding(resource.slot(), resource, plugin)
    }

    fn left_of<'a>(&'a self, plugin: &'a Plugin) -> impl Iterator<Item = Holding<'a>> {
        self.facts().filter_map(|(slot, facts)| {
            let left = facts.left.as_deref()?;
            let resource = match slot.kind {
                ResourceKind::Process => ResourceRef::Process(slot.id.parse().ok()?),
                ResourceKind::Container => ResourceRef::Container(&slot.id),
                ResourceKind::Remote => ResourceRef::Remote(left.remote.as_ref()?),
            };
            Some(self.holding(slot.clone(), resource, plugin))
        })
    }

    fn holding<'a>(&'a self, slot: Slot, resource: ResourceRef<'a>, plugin: &'a Plugin) -> Holding<'a> {
        let facts = self.get_key(&slot);
        let left_on = facts.and_then(|(slot, _)| slot.host.as_deref());
        let host = left_on.or(plugin.host.as_deref()).filter(|_| slot.kind != ResourceKind::Remote);
        let facts = facts.map(|(_, facts)| facts);
        let own = facts.and_then(|facts| facts.claim.as_deref());
        let claim = own.unwrap_or_else(|| self.claim());
        Holding { slot, resource, claim, facts, host }
    }

    /// The claim of the resources without one of their own.
    pub(crate) fn claim(&self) -> &Claim {
        self.0.as_ref().map_or(&**UNKNOWN, |entries| &entries.claim)
    }

    /// The claim of a resource.
    pub(crate) fn claim_of(&self, slot: &Slot) -> Arc<Claim> {
        let own = self.get(slot).and_then(|facts| facts.claim.clone());
        own.unwrap_or_else(|| {
            self.0.as_ref().map_or_else(|| Arc::clone(&UNKNOWN), |entries| Arc::clone(&entries.claim))
        })
    }

    /// The facts about a resource, if any.
    pub fn get(&self, slot: &Slot) -> Option<&Facts> {
        self.get_key(slot).map(|(_, facts)| facts)
    }

    fn get_key(&self, slot: &Slot) -> Option<(&Slot, &Facts)> {
        // Most plugins have no facts.
        self.0.as_ref().filter(|entries| !entries.facts.is_empty())?.facts.get_key_value(slot)
    }

    /// All facts.
    pub fn facts(&self) -> impl Iterator<Item = (&Slot, &Facts)> {
        self.0.iter().flat_map(|entries| entries.facts.iter())
    }

    /// What was left behind.
    pub fn left(&self) -> impl Iterator<Item = (&Slot, &LeftBehind)> {
        self.facts().filter_map(|(slot, facts)| Some((slot, facts.left.as_deref()?)))
    }

    /// Returns true if and only if a resource was seen alive.
    pub fn has_alive(&self) -> bool {
        let mut seen = self.facts().filter_map(|(_, facts)| facts.observation.as_ref());
        seen.any(|seen| seen.state == ObservedState::Alive)
    }

    /// Returns true if and only if there is an observation, a finding, or something left behind.
    pub fn has_facts(&self) -> bool {
        self.facts().any(|(_, facts)| !facts.is_claim_only())
    }

    /// Every lease under which something is held, with repetitions.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseId> {
        let own = self.facts().filter_map(|(_, facts)| facts.claim.as_ref());
        let shared = self.0.iter().map(|entries| &entries.claim);
        shared.chain(own).filter_map(|claim| claim.lease_id.as_ref())
    }

    /// Returns true if and only if something is meant to be released at some time.
    pub fn has_expiry(&self) -> bool {
        let own = self.facts().filter_map(|(_, facts)| facts.claim.as_ref());
        self.0.iter().map(|entries| &entries.claim).chain(own).any(|claim| claim.expiry.is_some())
    }

    /// These holdings with some facts changed.
    #[must_use]
    pub(crate) fn with<'a>(&self, changes: impl IntoIterator<Item = (&'a Slot, Fact<'a>)>) -> Holdings {
        let mut entries = self.0.as_ref().map_or_else(
            || Entries { claim: Arc::clone(&UNKNOWN), is_presumed: true, facts: BTreeMap::new(), stop: None },
            |entries| Entries::clone(entries),
        );
        for (slot, fact) in changes {
            if let Fact::Ended = fact {
                entries.facts.remove(slot);
                continue;
            }
            let known = entries.facts.entry(slot.clone()).or_default();
            match fact {
                Fact::Seen(observation) => known.observation = Some(observation.clone()),
                Fact::Found(finding) => known.finding = finding.cloned(),
                Fact::Acknowledged(acknowledgement) => known.acknowledgement = acknowledgement.map(Box::new),
                Fact::Warned(expiry) => known.warned = Some(expiry),
                Fact::Claimed(claim) => {
                    known.claim = Some(claim);
                    entries.is_presumed = false;
                }
                Fact::Ended => {}
            }
            if *known == Facts::default() {
                entries.facts.remove(slot);
            }
        }
        Holdings(Some(Arc::new(entries)))
    }

    /// The request to stop what the plugin holds, if there is one.
    pub fn stop(&self) -> Option<&Arc<Stop>> {
        self.0.as_ref()?.stop.as_ref()
    }

    /// These holdings with a request to stop them, or without one. It needs a claim that is stored: presumed claims become
    /// recorded ones.
    #[must_use]
    pub(crate) fn with_stop(&self, stop: Option<Arc<Stop>>) -> Holdings {
        let Some(entries) = self.0.as_ref() else { return self.clone() };
        let is_presumed = entries.is_presumed && stop.is_none();
        Holdings(Some(Arc::new(Entries { is_presumed, stop, ..Entries::clone(entries) })))
    }

    /// The facts that remain valid when `after` replaces `before`, by the rule of stores that are older than claims:
    /// the facts of a resource are dropped if the plugin releases it or changes its host.
    #[must_use]
    pub(crate) fn kept_for(&self, before: &Plugin, after: &Plugin) -> Holdings {
        let moved = host::normal_of(before.host.as_deref()) != host::normal_of(after.host.as_deref());
        let held: std::collections::BTreeSet<_> = resources_of(after).map(ResourceRef::slot).collect();
        let stays = |slot: &Slot| held.contains(slot) && !(moved && slot.kind != ResourceKind::Remote);
        let kept = self.facts().filter(|(slot, _)| stays(slot)).map(|(slot, facts)| (slot.clone(), facts.clone()));
        let kept: BTreeMap<_, _> = kept.collect();
        if kept.is_empty() { Holdings::default() } else { Holdings::presumed(kept) }
    }

    /// The text for the store; `None` if there is nothing to store.
    pub fn to_text(&self) -> Option<String> {
        let entries = self.0.as_ref()?;
        if entries.is_presumed {
            let facts: Vec<_> = entries.facts.iter().map(|(slot, facts)| (slot, FactsText::of(facts, None))).collect();
            // Serialising these types to memory cannot fail.
            return (!facts.is_empty()).then(|| serde_json::to_string(&facts).unwrap_or_default());
        }
        let mut claims: Vec<&Claim> = vec![&entries.claim];
        let facts = entries.facts.iter().map(|(slot, facts)| {
            let own = facts.claim.as_deref().map(|own| {
                claims.iter().position(|claim| *claim == own).unwrap_or_else(|| {
                    claims.push(own);
                    claims.len() - 1
                })
            });
            (slot, FactsText::of(facts, own))
        });
        let facts: Vec<_> = facts.collect();
        serde_json::to_string(&HoldingsText { claims, facts, stop: entries.stop.as_deref() }).ok()
    }

    /// Parses the output of [`Holdings::to_text`].
    ///
    /// # Errors
    ///
    /// If the text is damaged.
    pub fn from_text(text: Option<&str>) -> Result<Holdings, serde_json::Error> {
        let Some(text) = text else { return Ok(Holdings::default()) };
        if text.starts_with('[') {
            let facts: Vec<(Slot, OwnFactsText)> = serde_json::from_str(text)?;
            return Ok(Holdings::presumed(
                facts.into_iter().map(|(slot, facts)| (normal(slot), facts.facts(&[]))).collect(),
            ));
        }
        let OwnHoldingsText { claims, facts, stop } = serde_json::from_str(text)?;
        let claims: Vec<_> = claims.into_iter().map(Arc::new).collect();
        let Some(claim) = claims.first().cloned() else {
            return Err(serde::de::Error::custom("holdings have a claim"));
        };
        let facts = facts.into_iter().map(|(slot, facts)| (slot, facts.facts(&claims))).collect();
        Ok(Holdings(Some(Arc::new(Entries { claim, is_presumed: false, facts, stop: stop.map(Arc::new) }))))
    }
}

/// The slot of a resource in a store that keeps the ids of containers as they were sent.
fn normal(slot: Slot) -> Slot {
    match slot.kind {
        ResourceKind::Container => Slot { id: container_id::normal(&slot.id).into(), ..slot },
        ResourceKind::Process | ResourceKind::Remote => slot,
    }
}

/// Two holdings are equal if and only if all that is recorded is equal. Presumed claims count as equal to any.
impl PartialEq for Holdings {
    fn eq(&self, other: &Holdings) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(entries), None) | (None, Some(entries)) => entries.is_presumed && entries.facts.is_empty(),
            (Some(one), Some(other)) => {
                let claims = one.is_presumed || other.is_presumed || one.claim == other.claim;
                Arc::ptr_eq(one, other) || (claims && one.facts == other.facts && one.stop == other.stop)
            }
        }
    }
}

/// The text of holdings.
#[derive(Serialize)]
struct HoldingsText<'a> {
    /// The first is that of every resource without one of its own.
    claims: Vec<&'a Claim>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    facts: Vec<(&'a Slot, FactsText<'a>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a Stop>,
}

#[derive(Serialize)]
struct FactsText<'a> {
    observation: Option<&'a Observation>,
    finding: Option<&'a Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<&'a LeftBehind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledgement: Option<&'a Acknowledgement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warned: Option<Timestamp>,
}

impl<'a> FactsText<'a> {
    fn of(facts: &'a Facts, claim: Option<usize>) -> FactsText<'a> {
        FactsText {
            observation: facts.observation.as_ref(),
            finding: facts.finding.as_ref(),
            claim,
            left: facts.left.as_deref(),
            acknowledgement: facts.acknowledgement.as_deref(),
            warned: facts.warned,
        }
    }
}

#[derive(Deserialize)]
struct OwnHoldingsText {
    claims: Vec<Claim>,
    #[serde(default)]
    facts: Vec<(Slot, OwnFactsText)>,
    stop: Option<Stop>,
}

#[derive(Deserialize)]
struct OwnFactsText {
    observation: Option<Observation>,
    finding: Option<Finding>,
    claim: Option<usize>,
    left: Option<Box<LeftBehind>>,
    acknowledgement: Option<Box<Acknowledgement>>,
    warned: Option<Timestamp>,
}

impl OwnFactsText {
    fn facts(self, claims: &[Arc<Claim>]) -> Facts {
        let OwnFactsText { observation, finding, claim, left, acknowledgement, warned } = self;
        let claim = claim.and_then(|index| claims.get(index).cloned());
        Facts { claim, left, observation, finding, acknowledgement, warned }
    }
}

/// One fact about a resource.
#[derive(Debug, Clone)]
pub(crate) enum Fact<'a> {
    /// A new observation.
    Seen(&'a Observation),
    /// A new finding; `None` if the earlier one is cleared.
    Found(Option<&'a Finding>),
    /// A new acknowledgement; `None` if it ended.
    Acknowledged(Option<Acknowledgement>),
    /// The registry warned of this expiry.
    Warned(Timestamp),
    /// A new claim.
    Claimed(Arc<Claim>),
    /// The resource is held no longer.
    Ended,
}
