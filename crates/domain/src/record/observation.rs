//! What somebody has seen of a held resource, beside what its plugin claims.
//!
//! Pure vocabulary: who looks, and how, is for the probes to say; what follows from it, for
//! [`super::finding`]. Only the newest *transition* is kept here (it was alive, and is gone since);
//! that the same is seen again and again is no change, and is remembered by the service beside the state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::resource::slots_of;
pub use super::resource::{ResourceKind, Slot};
use crate::plugin::{FreeJson, Plugin, UniqueId};
use crate::wire_names;

/// Which held thing: as the plugin that holds it names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// Whose it is.
    pub plugin: UniqueId,
    /// What it is.
    pub kind: ResourceKind,
    /// The process id, the container id as the plugin has said it, or of a remote resource the first that it has
    /// of instance id, job id, endpoint and SSH host.
    pub id: Box<str>,
}

impl ResourceKey {
    /// Its place among what the plugin holds.
    pub fn slot(&self) -> Slot {
        Slot { kind: self.kind, id: self.id.clone() }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.kind.as_str(), self.id, self.plugin)
    }
}

wire_names! {
    /// What was seen.
    ObservedState {
        /// It is there, and it is the one that was seen first.
        Alive = "alive",
        /// It is gone.
        Gone = "gone",
        /// Something else has its name: another process has its number.
        Reused = "reused",
        /// Nothing answers at its address; it may be there all the same.
        Unreachable = "unreachable",
        /// Nothing can be said: it is not visible, not permitted, or the last look is too old.
        Unknown = "unknown",
    }
}

impl ObservedState {
    /// Returns true if and only if it says that the thing is not there any more.
    pub fn is_end(self) -> bool {
        matches!(self, ObservedState::Gone | ObservedState::Reused)
    }
}

/// One look at one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedObservation {
    /// At what.
    pub key: ResourceKey,
    /// What was seen.
    pub state: ObservedState,
    /// When.
    pub at: Timestamp,
    /// What there is to say about it, for people.
    pub detail: Option<Box<str>>,
    /// What tells it from a stranger of the same name; a JSON object whose content is the probe's own.
    pub identity: Option<FreeJson>,
}

/// What is known of a resource: the newest transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// What was seen.
    pub state: ObservedState,
    /// When it was seen to be so first, without a break.
    pub since: Timestamp,
    /// Who saw it first.
    pub by: Box<str>,
    /// What there is to say about it, for people.
    pub detail: Option<Box<str>>,
    /// What tells it from a stranger of the same name, as it was at first sight.
    pub identity: Option<FreeJson>,
    /// When it was seen to be alive last; `None` while it is seen so, or never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_alive: Option<Timestamp>,
}

/// A transition of one of the resources of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservationChange {
    /// Which one.
    pub slot: Slot,
    /// What is known of it from now on.
    pub observation: Observation,
}

/// What is known of a resource beside the claim.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What was seen; `None` as long as nobody has looked.
    pub observation: Option<Observation>,
    /// What is wrong with it.
    pub finding: Option<Finding>,
}

impl Facts {
    /// The whole id of a container, as it was seen.
    pub fn container_id(&self) -> Option<String> {
        let identity = self.observation.as_ref()?.identity.as_ref()?;
        let text = identity.as_str();
        // Most identities are those of processes.
        if !text.contains("\"container_id\"") {
            return None;
        }
        identity.to_value().get("container_id")?.as_str().map(str::to_owned)
    }
}

/// What is known of all that a plugin holds. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedResources(Arc<BTreeMap<Slot, Facts>>);

impl ObservedResources {
    /// What was kept.
    pub fn restore(facts: impl IntoIterator<Item = (Slot, Facts)>) -> ObservedResources {
        ObservedResources(Arc::new(facts.into_iter().collect()))
    }

    /// As a JSON array, for a store; `None` when nothing is known.
    pub fn to_text(&self) -> Option<String> {
        let entries: Vec<_> = self.0.iter().collect();
        // Serialising to memory fails for no value of these types.
        (!entries.is_empty()).then(|| serde_json::to_string(&entries).unwrap_or_default())
    }

    /// What [`ObservedResources::to_text`] has made.
    ///
    /// # Errors
    ///
    /// When the text is damaged.
    pub fn from_text(text: Option<&str>) -> Result<ObservedResources, serde_json::Error> {
        let entries: Vec<(Slot, Facts)> = text.map(serde_json::from_str).transpose()?.unwrap_or_default();
        Ok(ObservedResources::restore(entries))
    }

    /// What is known of a resource, if anything is.
    pub fn get(&self, slot: &Slot) -> Option<&Facts> {
        // Most plugins were never looked at.
        if self.0.is_empty() { None } else { self.0.get(slot) }
    }

    /// Everything that is known.
    pub fn iter(&self) -> impl Iterator<Item = (&Slot, &Facts)> {
        self.0.iter()
    }

    /// Returns true if and only if anything was seen to be alive.
    pub fn has_alive(&self) -> bool {
        let mut seen = self.0.values().filter_map(|facts| facts.observation.as_ref());
        seen.any(|seen| seen.state == ObservedState::Alive)
    }

    /// Returns true if and only if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This, with the facts about some resources changed.
    #[must_use]
    pub(crate) fn with<'a>(&self, changes: impl IntoIterator<Item = (&'a Slot, Fact<'a>)>) -> ObservedResources {
        let mut facts = BTreeMap::clone(&self.0);
        for (slot, fact) in changes {
            let known = facts.entry(slot.clone()).or_default();
            match fact {
                Fact::Seen(observation) => known.observation = Some(observation.clone()),
                Fact::Found(finding) => known.finding = finding.cloned(),
            }
            if *known == Facts::default() {
                facts.remove(slot);
            }
        }
        ObservedResources(Arc::new(facts))
    }

    /// What is still of concern when `after` stands where `before` stood: a resource that is released takes
    /// with it what was seen of it, and so does one that is now said to be somewhere else.
    #[must_use]
    pub(crate) fn kept_for(&self, before: &Plugin, after: &Plugin) -> ObservedResources {
        if self.is_empty() {
            return self.clone();
        }
        let moved = before.host != after.host;
        let held: std::collections::BTreeSet<_> = slots_of(after).collect();
        let stays = |slot: &Slot| held.contains(slot) && !(moved && slot.kind != ResourceKind::Remote);
        if self.0.keys().all(stays) {
            return self.clone();
        }
        let kept = self.0.iter().filter(|(slot, _)| stays(slot)).map(|(slot, facts)| (slot.clone(), facts.clone()));
        ObservedResources::restore(kept)
    }
}

/// One fact about a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fact<'a> {
    /// What was seen of it.
    Seen(&'a Observation),
    /// What is wrong with it, or that nothing is any more.
    Found(Option<&'a Finding>),
}
