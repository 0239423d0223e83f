//! What is sent and answered, as far as this crate's own programs use it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use domain::plugin::FreeJson;
use domain::record::{ObservedState, ReportedObservation, ResourceKind};

/// What `POST /leases` takes.
#[derive(Debug, Clone, Serialize)]
pub struct LeaseRequest {
    /// Who holds it, for people.
    pub holder: String,
    /// Where that is.
    pub host: Option<String>,
    /// How long it lasts without a renewal, in seconds.
    pub ttl_seconds: u32,
}

/// A lease; what else the registry says of it is left out.
#[derive(Debug, Clone, Deserialize)]
pub struct Lease {
    /// Its id.
    pub lease_id: String,
    /// When it should be renewed, in seconds from now.
    pub renew_after_seconds: f64,
}

/// What `POST /observations` takes.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Which agent.
    pub by: String,
    /// Of which host.
    pub host: Option<String>,
    /// What time it is by the agent's clock, so that its times can be set right.
    pub at: Timestamp,
    /// What it has seen: at most 10,000.
    pub observations: Vec<ReportedSighting>,
}

/// One sighting of a report.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedSighting {
    /// Of what kind.
    pub kind: ResourceKind,
    /// Whose.
    pub plugin: String,
    /// Which.
    pub id: String,
    /// What was seen.
    pub state: ObservedState,
    /// More about it.
    pub detail: Option<String>,
    /// What tells it from a stranger of the same name.
    pub identity: Option<FreeJson>,
    /// When.
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
            at: sighting.at,
        }
    }
}

/// What came of a report.
#[derive(Debug, Clone, Deserialize)]
pub struct Accepted {
    /// How many sightings were taken.
    pub accepted: u64,
    /// Those that were not: of what is not held any more, or older than what is known.
    #[serde(default)]
    pub ignored: Vec<Ignored>,
}

/// A sighting that was not taken.
#[derive(Debug, Clone, Deserialize)]
pub struct Ignored {
    /// Its place in the report, from 0.
    pub index: usize,
    /// Why.
    pub detail: String,
}

/// A row of `GET /resources`; what else the registry says of it is left out.
#[derive(Debug, Clone, Deserialize)]
pub struct ResourceRow {
    /// Whose.
    pub plugin: String,
    /// What.
    pub kind: ResourceKind,
    /// Which.
    pub id: Option<String>,
    /// What was seen of it.
    #[serde(default)]
    pub observed: Option<Observed>,
}

/// What was seen of a resource.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Observed {
    /// What tells it from a stranger of the same name.
    #[serde(default)]
    pub identity: Option<FreeJson>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResourcePage {
    pub(super) items: Vec<ResourceRow>,
    pub(super) next_cursor: Option<String>,
}
