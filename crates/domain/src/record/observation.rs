//! Observations of resources, independent of the plugins' claims.
//!
//! Pure vocabulary: the probes make observations, and [`super::finding`] derives findings. A record has only the newest
//! *transition* (the resource was alive, and is gone since). A repeated observation is not a change: the service counts
//! it outside the state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::finding::Finding;
use super::resource::slots_of;
pub use super::resource::{ResourceKind, Slot};
use crate::host;
use crate::plugin::{FreeJson, Plugin, UniqueId, container_id};
use crate::wire_names;

/// The key of a resource, as its plugin names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The unique_id of its plugin.
    pub plugin: UniqueId,
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The process id, or the container id in normal form. For a remote resource, the first present of instance
    /// id, job id, endpoint and SSH host.
    pub id: Box<str>,
}

impl ResourceKey {
    /// The slot within the plugin.
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
    /// The observed state of a resource.
    ObservedState {
        /// It exists, and has the identity of the first observation.
        Alive = "alive",
        /// It does not exist.
        Gone = "gone",
        /// Its name belongs to another resource, such as a new process with the same id.
        Reused = "reused",
        /// It does not answer, but may exist.
        Unreachable = "unreachable",
        /// The state is unknown: the resource is not visible, access is not permitted, or the last observation is too
        /// old.
        Unknown = "unknown",
    }
}

impl ObservedState {
    /// Returns true if and only if the state means that the resource no longer exists.
    pub fn is_end(self) -> bool {
        matches!(self, ObservedState::Gone | ObservedState::Reused)
    }
}

/// One observation of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedObservation {
    /// The resource.
    pub key: ResourceKey,
    /// The observed state.
    pub state: ObservedState,
    /// The time.
    pub at: Timestamp,
    /// Details for people.
    pub detail: Option<Box<str>>,
    /// The identity, which distinguishes the resource from a later one of the same name; a JSON object defined by the
    /// probe.
    pub identity: Option<FreeJson>,
    /// The parent of a process when the probe first saw the process; a JSON object defined by the probe.
    pub parent: Option<FreeJson>,
    /// Why no process looks after this one, in words: its parent has ended, and it was handed to another process.
    pub abandoned: Option<Box<str>>,
}

/// The newest transition of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The observed state.
    pub state: ObservedState,
    /// The time of the first of the equal observations in a row.
    pub since: Timestamp,
    /// The agent or probe that first observed this state.
    pub by: Box<str>,
    /// Details for people.
    pub detail: Option<Box<str>>,
    /// The identity at the first observation.
    pub identity: Option<FreeJson>,
    /// When it was last seen alive; `None` while it is alive, or if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_alive: Option<Timestamp>,
    /// The parent of a process at the first observation that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<FreeJson>,
    /// Why no process looks after this one; `None` once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned: Option<Abandoned>,
}

/// A process whose parent has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Abandoned {
    /// When a probe first saw it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The evidence, in words: which parent has ended, and which process adopted the resource.
    #[schema(value_type = String)]
    pub evidence: Box<str>,
}

/// A transition of one resource of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservationChange {
    /// The resource.
    pub slot: Slot,
    /// Its observation from now on.
    pub observation: Observation,
}

/// The observation and the finding of a resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The observation; `None` if there is none.
    pub observation: Option<Observation>,
    /// The finding, if any.
    pub finding: Option<Finding>,
}

impl Facts {
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
}

/// The facts about all resources of a plugin. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedResources(Arc<BTreeMap<Slot, Facts>>);

impl ObservedResources {
    /// The facts from a store. Earlier versions kept the ids of containers as they were sent.
    pub fn restore(facts: impl IntoIterator<Item = (Slot, Facts)>) -> ObservedResources {
        let normal = |(mut slot, facts): (Slot, Facts)| {
            if slot.kind == ResourceKind::Container {
                slot.id = container_id::normal(&slot.id).into();
            }
            (slot, facts)
        };
        ObservedResources(Arc::new(facts.into_iter().map(normal).collect()))
    }

    /// A JSON array for the store; `None` if there are no facts.
    pub fn to_text(&self) -> Option<String> {
        let entries: Vec<_> = self.0.iter().collect();
        // Serialising these types to memory cannot fail.
        (!entries.is_empty()).then(|| serde_json::to_string(&entries).unwrap_or_default())
    }

    /// Parses the output of [`ObservedResources::to_text`].
    ///
    /// # Errors
    ///
    /// If the text is damaged.
    pub fn from_text(text: Option<&str>) -> Result<ObservedResources, serde_json::Error> {
        let entries: Vec<(Slot, Facts)> = text.map(serde_json::from_str).transpose()?.unwrap_or_default();
        Ok(ObservedResources::restore(entries))
    }

    /// The facts about a resource, if any.
    pub fn get(&self, slot: &Slot) -> Option<&Facts> {
        // Most plugins have no observations.
        if self.0.is_empty() { None } else { self.0.get(slot) }
    }

    /// All facts.
    pub fn iter(&self) -> impl Iterator<Item = (&Slot, &Facts)> {
        self.0.iter()
    }

    /// Returns true if and only if a resource was seen alive.
    pub fn has_alive(&self) -> bool {
        let mut seen = self.0.values().filter_map(|facts| facts.observation.as_ref());
        seen.any(|seen| seen.state == ObservedState::Alive)
    }

    /// Returns true if and only if there are no facts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These facts with some changed.
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

    /// The facts that remain valid when `after` replaces `before`. The facts of a resource are dropped if the plugin
    /// releases it or changes its host.
    #[must_use]
    pub(crate) fn kept_for(&self, before: &Plugin, after: &Plugin) -> ObservedResources {
        if self.is_empty() {
            return self.clone();
        }
        let moved = host::normal_of(before.host.as_deref()) != host::normal_of(after.host.as_deref());
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
    /// A new observation.
    Seen(&'a Observation),
    /// A new finding; `None` if the earlier one is cleared.
    Found(Option<&'a Finding>),
}
