//! The documents that this crate's programs exchange with the registry.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use domain::lease::OnGone;
use domain::plugin::FreeJson;
use domain::record::{ObservedState, ReportedObservation, ResourceKind};

/// The body of `POST /leases`.
#[derive(Debug, Clone, Serialize)]
pub struct LeaseRequest {
    /// The name of the holder, for people.
    pub holder: String,
    /// The host of the holder.
    pub host: Option<String>,
    /// How long the lease lasts without a renewal, in seconds.
    pub ttl_seconds: u32,
    /// What becomes of what was claimed under it and is gone, once it has ended; `None` for the registry's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_gone: Option<OnGone>,
}

/// The fields of a lease that this crate's programs read.
#[derive(Debug, Clone, Deserialize)]
pub struct Lease {
    /// The id of the lease.
    pub lease_id: String,
    /// When to renew it, in seconds from now.
    pub renew_after_seconds: f64,
}

/// The body of `POST /observations`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The name of the agent.
    pub by: String,
    /// The host that it observes.
    pub host: Option<String>,
    /// The agent's clock, by which the registry corrects the agent's times.
    pub at: Timestamp,
    /// The observations: at most 10,000.
    pub observations: Vec<ReportedSighting>,
}

/// One observation of a report.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedSighting {
    /// The kind of the resource.
    pub kind: ResourceKind,
    /// The plugin that holds it.
    pub plugin: String,
    /// The id of the resource.
    pub id: String,
    /// The observed state.
    pub state: ObservedState,
    /// The reason, for people.
    pub detail: Option<String>,
    /// The identity that tells the resource from a later one with the same id.
    pub identity: Option<FreeJson>,
    /// The parent of a process, until the registry knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<FreeJson>,
    /// Evidence that the parent of a process has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abandoned: Option<String>,
    /// When the probe ran.
    pub at: Timestamp,
}

impl From<&ReportedObservation> for ReportedSighting {
    fn from(sighting: &ReportedObservation) -> ReportedSighting {
        ReportedSighting {
            kind: sighting.key.kind,
            plugin: sighting.key.plugin.to_string(),
            id: sighting.key.id.to_string(),
            state: sighting.state,
            detail: sighting.detail.as_deref().map(str::to_owned),
            identity: sighting.identity.clone(),
            parent: sighting.parent.clone(),
            abandoned: sighting.abandoned.as_deref().map(str::to_owned),
            at: sighting.at,
        }
    }
}

/// The response to a report.
#[derive(Debug, Clone, Deserialize)]
pub struct Accepted {
    /// How many observations the registry recorded.
    pub accepted: u64,
    /// The observations that it ignored: of released resources, or older than the last one.
    #[serde(default)]
    pub ignored: Vec<Ignored>,
}

/// An observation that the registry ignored.
#[derive(Debug, Clone, Deserialize)]
pub struct Ignored {
    /// Its index in the report, from 0.
    pub index: usize,
    /// The reason.
    pub detail: String,
}

/// The fields of a row of `GET /resources` that this crate's programs read.
#[derive(Debug, Clone, Deserialize)]
pub struct ResourceRow {
    /// The plugin that holds the resource.
    pub plugin: String,
    /// The kind of the resource.
    pub kind: ResourceKind,
    /// The id of the resource.
    pub id: Option<String>,
    /// The last observation.
    #[serde(default)]
    pub observed: Option<Observed>,
}

/// The observation of a resource.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Observed {
    /// The identity that tells the resource from a later one with the same id.
    #[serde(default)]
    pub identity: Option<FreeJson>,
    /// The parent of a process at its first observation.
    #[serde(default)]
    pub parent: Option<FreeJson>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResourcePage {
    pub(super) items: Vec<ResourceRow>,
    pub(super) next_cursor: Option<String>,
}
