//! What is wrong with a held resource: claimed and seen, put side by side. Pure.
//!
//! Nothing is found at first sight: what was seen must have been seen twice, and some time must have
//! passed since it was seen first. Nothing is done about a finding but to tell of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resource::{ResourceKind, Slot};
use crate::money::MicroUsd;
use crate::wire_names;

wire_names! {
    /// What is wrong with a resource.
    FindingKind {
        /// It may run or bill, and the application that held it is lost.
        Orphan = "orphan",
        /// It is claimed, and was seen to be gone.
        Ghost = "ghost",
        /// It is claimed, and something else has its name: another process has its number.
        Reused = "reused",
        /// It is claimed, and no probe can say whether it is there.
        Unverified = "unverified",
    }
}

/// A finding, as it was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What is wrong.
    pub finding: FindingKind,
    /// Since when it is known to be so.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What was seen, when and by whom, and what of its holder is known; in words.
    #[schema(value_type = String)]
    pub evidence: Box<str>,
    /// What the plugin's remote resources had cost by then, in USD: at least, and at most. Absent for what has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<f64>>)]
    pub cost: Option<[MicroUsd; 2]>,
}

/// A finding of one of the resources of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingChange {
    /// Which one.
    pub slot: Slot,
    /// What is wrong with it.
    pub finding: Finding,
}

/// What is remembered of the looks at a resource, and is no part of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looks {
    /// How often in a row the same was seen.
    pub sightings: u32,
    /// When it was seen last.
    pub last: Option<Timestamp>,
}

/// What can safely be done next, in words. Nothing here is ever done by the registry itself.
pub fn next_step(finding: FindingKind, slot: &Slot, plugin: &str, host: Option<&str>) -> String {
    let id = &slot.id;
    let place = host.map_or_else(|| "on its host".to_owned(), |host| format!("on {host}"));
    let release = match slot.kind {
        ResourceKind::Process => format!("DELETE /plugins/{plugin}/spawned_pids/{id}"),
        ResourceKind::Container => format!("DELETE /plugins/{plugin}/container_id"),
        ResourceKind::Remote => format!("PATCH /plugins/{plugin}/remote_resource {{\"status\": \"stopped\"}}"),
    };
    match (finding, slot.kind) {
        (FindingKind::Orphan, ResourceKind::Process) => {
            format!("look {place} whether process {id} is still of use; if not, stop it there, then {release}")
        }
        (FindingKind::Orphan, ResourceKind::Container) => {
            format!("look {place} whether container {id} is still of use; if not, stop it there, then {release}")
        }
        (FindingKind::Orphan, ResourceKind::Remote) => {
            format!("look at the provider whether {id} is still of use; if not, stop it there, then {release}")
        }
        (FindingKind::Ghost, ResourceKind::Remote) => {
            format!("make sure at the provider that {id} is gone and no longer charged for, then {release}")
        }
        (FindingKind::Ghost, _) => format!("nothing is left to stop; release it: {release}"),
        (FindingKind::Reused, _) => {
            format!("do not stop {id}: it is somebody else's now; release it: {release}")
        }
        (FindingKind::Unverified, ResourceKind::Remote) => {
            format!("look at the provider whether {id} runs, or switch on the remote probes")
        }
        (FindingKind::Unverified, _) => {
            format!("run `plugin-registry agent` {place}, or look there by hand; until then take it for running")
        }
    }
}
