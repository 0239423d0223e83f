//! A held thing as a row of `GET /resources`.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::lease::LeaseState;
use crate::money::MicroUsd;
use crate::plugin::{FreeJson, UniqueId};
use crate::record::finding::next_step;
use crate::record::{FindingKind, Holder, Holding, Observation, ObservedState, Record, ResourceKey, ResourceKind};
use crate::state::State;
use crate::wire_names;

/// One thing that a plugin claims to hold.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Resource {
    /// Whose it is: a unique_id.
    #[schema(value_type = String)]
    pub plugin: UniqueId,
    /// What it is.
    pub kind: ResourceKind,
    /// Where it is; null when the plugin has not said, and for what is remote.
    #[schema(required)]
    pub host: Option<String>,
    /// The process id, the container id, or of a remote resource the first that it has of
    /// instance id, job id, endpoint and SSH host.
    #[schema(required)]
    pub id: Option<String>,
    /// What the plugin says of it: `running` for a process or a container, the status of a remote resource.
    pub claimed: String,
    /// Whether a provider may be charging for it.
    pub billable: bool,
    /// What was seen of it; null before the first look.
    #[schema(required)]
    pub observed: Option<ObservedRow>,
    /// What is wrong with it; null when nothing is.
    #[schema(required)]
    pub finding: Option<FindingKind>,
    /// The lease of the application process that holds it; null when the plugin has named none.
    #[schema(required)]
    pub lease: Option<LeaseRow>,
    /// How certain it is that this is what was asked for, and that it is there.
    pub certainty: Certainty,
    /// Why the finding is one, and what can be done next; null when there is none.
    #[schema(required)]
    pub evidence: Option<Evidence>,
}

wire_names! {
    /// How certain it is that a row is what was asked for, and that it is there.
    Certainty {
        /// It was seen to be alive.
        Seen = "seen",
        /// Its plugin says so, and no probe has seen it, or not lately.
        Claimed = "claimed",
        /// Its plugin has not said on which host it is: it may be on the one that was asked for, or on another.
        Doubtful = "doubtful",
        /// It was seen to be gone, or to be another thing of the same name.
        Ended = "ended",
    }
}

/// What was seen of a held thing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ResourceObserved)]
pub struct ObservedRow {
    /// What was seen.
    pub state: ObservedState,
    /// When it was seen last.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Since when it was seen to be so, without a break.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Who saw it.
    pub by: String,
    /// What there is to say about it.
    #[schema(required)]
    pub detail: Option<String>,
    /// What tells it from a stranger of the same name, as it was at first sight.
    #[schema(value_type = Option<Object>, required)]
    pub identity: Option<FreeJson>,
}

/// The lease that a plugin has named.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ResourceLease)]
pub struct LeaseRow {
    /// As the plugin has named it.
    pub lease_id: String,
    /// `active`, `lost` or `released`; `unknown` when there is no such lease.
    #[schema(examples("active"))]
    pub state: &'static str,
}

/// Why a finding is one.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Evidence {
    /// Since when it is known to be so; null before the first look.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub since: Option<Timestamp>,
    /// What was seen, when, by which observer, and what is known of the holder.
    pub text: String,
    /// What can safely be done next. The registry itself stops nothing.
    pub next_step: String,
    /// What the plugin's remote resources had cost by their declared prices when this was found, in USD: at least, and at
    /// most. Null for what has no price.
    #[schema(value_type = Option<Vec<f64>>, required)]
    pub cost: Option<[MicroUsd; 2]>,
}

impl Resource {
    /// The row of a held thing.
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

    /// Which thing it is.
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
        }
    }
}
