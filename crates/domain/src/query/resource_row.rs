//! A resource as a row of `GET /resources`.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::lease::LeaseState;
use crate::money::MicroUsd;
use crate::plugin::{FreeJson, UniqueId};
use crate::record::finding::next_step;
use crate::record::{
    Abandoned, FindingKind, Holder, Holding, Observation, ObservedState, Record, ResourceKey, ResourceKind,
};
use crate::state::State;
use crate::wire_names;

/// One resource that a plugin claims to hold.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Resource {
    /// The unique_id of its plugin.
    #[schema(value_type = String)]
    pub plugin: UniqueId,
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The host of the resource; null if the plugin has no host, and for remote resources.
    #[schema(required)]
    pub host: Option<String>,
    /// The process id or the container id. For a remote resource, the first present of instance id, job id, endpoint
    /// and SSH host.
    #[schema(required)]
    pub id: Option<String>,
    /// The status that the plugin claims: `running` for a process or a container, the status of a remote resource.
    pub claimed: String,
    /// Whether a provider may charge for it.
    pub billable: bool,
    /// The last observation; null if there is none.
    #[schema(required)]
    pub observed: Option<ObservedRow>,
    /// What is wrong with it; null if nothing is.
    #[schema(required)]
    pub finding: Option<FindingKind>,
    /// The lease of the application process that holds it; null if the plugin names none.
    #[schema(required)]
    pub lease: Option<LeaseRow>,
    /// How certain it is that the resource matches the query and exists.
    pub certainty: Certainty,
    /// The evidence of the finding and the next step; null without a finding.
    #[schema(required)]
    pub evidence: Option<Evidence>,
}

wire_names! {
    /// How certain it is that a resource matches the query and exists.
    Certainty {
        /// An agent or a probe saw it alive.
        Seen = "seen",
        /// Its plugin claims it, and there is no recent observation.
        Claimed = "claimed",
        /// Its plugin has no host: the resource may be on the requested host or on another one.
        Doubtful = "doubtful",
        /// It was seen gone, or its name belongs to another resource.
        Ended = "ended",
    }
}

/// An observation of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ResourceObserved)]
pub struct ObservedRow {
    /// The observed state.
    pub state: ObservedState,
    /// When it was last observed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Since when every observation had this state.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The agent or probe.
    pub by: String,
    /// Details for people.
    #[schema(required)]
    pub detail: Option<String>,
    /// The identity at the first observation. It distinguishes the resource from a later one of the same name.
    #[schema(value_type = Option<Object>, required)]
    pub identity: Option<FreeJson>,
    /// The parent of a process at its first observation: process id, start time, command and ancestors. Null for other
    /// resources, and if no probe could see the parent.
    #[schema(value_type = Option<Object>, required)]
    pub parent: Option<FreeJson>,
    /// Evidence that the parent of a process has ended; null if it has not, and if no probe can tell.
    #[schema(required)]
    pub abandoned: Option<Abandoned>,
}

/// The lease that a plugin names.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ResourceLease)]
pub struct LeaseRow {
    /// The id, as the plugin names it.
    pub lease_id: String,
    /// `active`, `lost` or `released`; `unknown` if there is no such lease.
    #[schema(examples("active"))]
    pub state: &'static str,
}

/// The evidence of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Evidence {
    /// Since when the finding is true; null if the resource was never observed.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub since: Option<Timestamp>,
    /// The observation, its time and agent, and the state of the holder.
    pub text: String,
    /// The next safe step for the operator. The registry itself stops nothing.
    pub next_step: String,
    /// The cost of the plugin's remote resources by their declared prices at the time of the finding, in USD: minimum
    /// and maximum. Null without a price.
    #[schema(value_type = Option<Vec<f64>>, required)]
    pub cost: Option<[MicroUsd; 2]>,
}

impl Resource {
    /// The row of a resource.
    pub(crate) fn of(held: Holding<'_>, record: &Record, state: &State, certainty: Certainty) -> Resource {
        let facts = record.facts_of(held);
        let kind = held.kind();
        let host = if kind == ResourceKind::Remote { None } else { record.plugin.host.clone() };
        let observed = facts.and_then(|facts| facts.observation.as_ref()).map(ObservedRow::of);
        let finding = crate::record::finding_rules::shown(held, facts);
        let holder = state.holder_of(&record.plugin);
        let evidence = finding.map(|finding| {
            let raised = facts.and_then(|facts| facts.finding.as_ref());
            let text = match raised {
                Some(raised) => raised.evidence.to_string(),
                None => crate::record::finding_rules::unseen(held, record, holder),
            };
            let next_step = next_step(finding, &held.slot(), record.unique_id.as_str(), host.as_deref());
            let cost = raised.and_then(|raised| raised.cost);
            Evidence { since: raised.map(|raised| raised.since), text, next_step, cost }
        });
        let lease = record.plugin.lease_id.as_ref().map(|id| LeaseRow {
            lease_id: id.clone(),
            state: match holder {
                Holder::Lease(lease, _) => LeaseState::as_str(lease.state),
                Holder::None | Holder::Unknown => "unknown",
            },
        });
        Resource {
            plugin: record.unique_id.clone(),
            kind,
            host,
            id: held.id(),
            claimed: held.claimed().to_owned(),
            billable: held.is_billable(),
            observed,
            finding,
            lease,
            certainty,
            evidence,
        }
    }

    /// The key of the resource.
    pub fn key(&self) -> ResourceKey {
        let id = self.id.clone().unwrap_or_default().into();
        ResourceKey { plugin: self.plugin.clone(), kind: self.kind, id }
    }
}

impl ObservedRow {
    fn of(seen: &Observation) -> ObservedRow {
        ObservedRow {
            state: seen.state,
            at: seen.since,
            since: seen.since,
            by: seen.by.to_string(),
            detail: seen.detail.as_deref().map(str::to_owned),
            identity: seen.identity.clone(),
            parent: seen.parent.clone(),
            abandoned: seen.abandoned.clone(),
        }
    }
}
