//! Observations of resources, independent of the plugins' claims.
//!
//! Pure vocabulary: the probes make observations, and [`super::finding`] derives findings. A record has only the newest
//! *transition* (the resource was alive, and is gone since). A repeated observation is not a change: the service counts
//! it outside the state.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use super::resource::{ResourceKind, Slot};
use crate::plugin::{FreeJson, UniqueId};
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
    /// The host where the plugin left it behind; `None` if it is on the plugin's present host.
    pub host: Option<Box<str>>,
}

impl ResourceKey {
    /// The key of a plugin's slot.
    pub fn of(plugin: &UniqueId, slot: &Slot) -> ResourceKey {
        let Slot { kind, id, host } = slot.clone();
        ResourceKey { plugin: plugin.clone(), kind, id, host }
    }

    /// The slot within the plugin.
    pub fn slot(&self) -> Slot {
        Slot { kind: self.kind, id: self.id.clone(), host: self.host.clone() }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.kind.as_str(), self.id, self.plugin)?;
        self.host.as_ref().map_or(Ok(()), |host| write!(f, ", left behind on {host}"))
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

impl Observation {
    /// Whether the resource was seen alive, and not since seen to have ended.
    pub fn may_live(&self) -> bool {
        match self.state {
            ObservedState::Alive => true,
            ObservedState::Gone | ObservedState::Reused => false,
            ObservedState::Unreachable | ObservedState::Unknown => self.last_alive.is_some(),
        }
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

/// How many bytes of a text about an observation are kept.
pub const DETAIL_BYTES: usize = 512;

/// A text about an observation, without what exceeds [`DETAIL_BYTES`].
pub fn shortened(text: Box<str>) -> Box<str> {
    const MORE: &str = "…";
    if text.len() <= DETAIL_BYTES {
        return text;
    }
    let end = text.floor_char_boundary(DETAIL_BYTES - MORE.len());
    format!("{}{MORE}", text.get(..end).unwrap_or_default()).into()
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
