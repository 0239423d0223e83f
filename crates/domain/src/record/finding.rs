//! Findings: differences between a plugin's claims and the observations. Pure.
//!
//! A single observation never makes a finding: the registry needs two observations, and some time since the first. The
//! registry only reports a finding. It never acts on one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resource::{ResourceKind, Slot};
use crate::money::MicroUsd;
use crate::wire_names;

wire_names! {
    /// The kind of a finding.
    FindingKind {
        /// The resource may run or bill, and the lease of its application is lost.
        Orphan = "orphan",
        /// The plugin claims the resource, and it was seen gone.
        Ghost = "ghost",
        /// The plugin claims the resource, and its name belongs to another one, such as a new process with the same id.
        Reused = "reused",
        /// The plugin claims the resource, and there is no observation that it exists.
        Unverified = "unverified",
    }
}

/// A finding, as raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What is wrong.
    pub finding: FindingKind,
    /// Since when it is true.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The observation, its time and agent, and the state of the holder; in words.
    #[schema(value_type = String)]
    pub evidence: Box<str>,
    /// The cost of the plugin's remote resources by then, in USD: minimum and maximum. Absent without a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<f64>>)]
    pub cost: Option<[MicroUsd; 2]>,
}

/// A finding about one resource of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingChange {
    /// The resource.
    pub slot: Slot,
    /// The finding.
    pub finding: Finding,
}

/// Counts of observations, kept outside the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looks {
    /// How many observations in a row had the same state.
    pub sightings: u32,
    /// The time of the last observation.
    pub last: Option<Timestamp>,
}

/// The next safe step for the operator, in words. The registry itself never takes the step.
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
            format!("check {place} whether process {id} is still needed; if not, stop it there, then {release}")
        }
        (FindingKind::Orphan, ResourceKind::Container) => {
            format!("check {place} whether container {id} is still needed; if not, stop it there, then {release}")
        }
        (FindingKind::Orphan, ResourceKind::Remote) => {
            format!("check at the provider whether {id} is still needed; if not, stop it there, then {release}")
        }
        (FindingKind::Ghost, ResourceKind::Remote) => {
            format!("check at the provider that {id} is gone and no longer charged for, then {release}")
        }
        (FindingKind::Ghost, _) => format!("nothing is left to stop; release it: {release}"),
        (FindingKind::Reused, _) => {
            format!("do not stop {id}: another owner has it now; release it: {release}")
        }
        (FindingKind::Unverified, ResourceKind::Remote) => {
            format!("check at the provider whether {id} runs, or enable the remote probes")
        }
        (FindingKind::Unverified, _) => {
            format!(
                "run `plugin-registry doctor` {place}: it says how a probe can see it; or check there by hand; until then \
                 treat it as running"
            )
        }
    }
}
