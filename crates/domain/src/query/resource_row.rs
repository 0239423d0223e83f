//! A resource as a row of `GET /resources`.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cost::version::hourly_now;
use crate::lease::LeaseState;
use crate::money::{MicroUsd, Spend};
use crate::plugin::{FreeJson, Provider, UniqueId};
use crate::record::next_step::{NextRequest, NextStep, next_step};
use crate::record::{
    Abandoned, Acknowledgement, ClaimState, FindingKind, Holder, Holding, Observation, ObservedState, Origin, Record,
    ResourceKey, ResourceKind, ResourceRef, finding_rules,
};
use crate::state::State;
use crate::wire_names;

/// One resource that a plugin holds: it names the resource, or has left it behind.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Resource {
    /// The unique_id of its plugin.
    #[schema(value_type = String)]
    pub plugin: UniqueId,
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The host of the resource; null if it is unknown, and for remote resources.
    #[schema(required)]
    pub host: Option<String>,
    /// The process id or the container id. For a remote resource, the first present of instance id, job id, endpoint
    /// and SSH host.
    #[schema(required)]
    pub id: Option<String>,
    /// Whether the plugin's document still names it.
    pub claim: ClaimState,
    /// The status that the plugin claims: `running` for a process or a container, the status of a remote resource.
    pub claimed: String,
    /// Whether a provider may charge for it.
    pub billable: bool,
    /// The provider of a remote resource; null for others.
    #[schema(required)]
    pub provider: Option<Provider>,
    /// Its GPU type.
    #[schema(required)]
    pub gpu_type: Option<String>,
    /// Its number of GPUs; null for what is no remote resource.
    #[schema(required)]
    pub gpu_count: Option<u32>,
    /// The current cost of an hour by the declared price, in USD: 0 for what does not bill or was seen gone. Null without
    /// a price.
    #[schema(value_type = Option<f64>, required)]
    pub usd_per_hour: Option<MicroUsd>,
    /// The cost since it is held, in USD: if `fields` names it, if the list is sorted by it, and as CSV. Otherwise null; also
    /// without a price, and with `as_of`.
    #[schema(required)]
    pub spent_usd: Option<SpentRow>,
    /// Since when the plugin has held it.
    #[schema(value_type = String, format = DateTime)]
    pub held_since: Timestamp,
    /// The request that claimed it, under its present lease; null if that is not known.
    #[schema(required)]
    pub claimed_by: Option<OriginRow>,
    /// When a request no longer named it; null while the plugin names it.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub left_at: Option<Timestamp>,
    /// The request that no longer named it.
    #[schema(required)]
    pub left_by: Option<OriginRow>,
    /// Until when it is meant to be held; null for no end.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub expires_at: Option<Timestamp>,
    /// The last observation; null if there is none.
    #[schema(required)]
    pub observed: Option<ObservedRow>,
    /// What is wrong with it; null if nothing is.
    #[schema(required)]
    pub finding: Option<FindingKind>,
    /// The acknowledgement of the finding; null if there is none.
    #[schema(required)]
    pub acknowledged: Option<AcknowledgedRow>,
    /// The lease under which it was claimed; null for none.
    #[schema(required)]
    pub lease_id: Option<String>,
    /// That lease with its state.
    #[schema(required)]
    pub lease: Option<LeaseRow>,
    /// How certain it is that the resource matches the query and exists.
    pub certainty: Certainty,
    /// The evidence of the finding and the next step; null without a finding.
    #[schema(required)]
    pub evidence: Option<Evidence>,
    /// The host of its slot: see [`crate::record::Slot::host`].
    #[serde(skip)]
    pub left_on: Option<Box<str>>,
}

/// The lower and upper bound of a cost so far. They are equal if the resource is the only one that the plugin has rented
/// since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SpentRange)]
pub struct SpentRow {
    /// The lower bound, in USD.
    #[schema(value_type = f64)]
    pub low_usd: MicroUsd,
    /// The upper bound, in USD.
    #[schema(value_type = f64)]
    pub high_usd: MicroUsd,
}

/// The request that made a change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RequestOrigin)]
pub struct OriginRow {
    /// The caller: the name of a token, or `anonymous`; null if the registry itself made it.
    #[schema(required)]
    pub principal: Option<String>,
    /// Its `X-Request-Id`.
    #[schema(required)]
    pub request_id: Option<String>,
}

/// The acknowledgement of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ResourceAcknowledgement)]
pub struct AcknowledgedRow {
    /// The reason.
    pub reason: String,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// When a client made it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The request that made it.
    #[schema(required)]
    pub by: Option<OriginRow>,
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
    /// The request that ends the next step; null if there is none.
    #[schema(required)]
    pub next_request: Option<NextRequest>,
    /// The cost of the plugin's remote resources by their declared prices at the time of the finding, in USD: minimum
    /// and maximum. Null without a price.
    #[schema(value_type = Option<Vec<f64>>, required)]
    pub cost: Option<[MicroUsd; 2]>,
}

impl Certainty {
    /// The certainty about a resource. `doubt`: it may be on another host than the requested one.
    pub(super) fn of(held: &Holding<'_>, doubt: bool) -> Certainty {
        match held.observation().map(|seen| seen.state) {
            Some(state) if state.is_end() => Certainty::Ended,
            _ if doubt => Certainty::Doubtful,
            Some(ObservedState::Alive) => Certainty::Seen,
            _ => Certainty::Claimed,
        }
    }
}

impl Resource {
    /// The fields, in the order of the document.
    pub const FIELDS: &'static [&'static str] = &[
        "plugin",
        "kind",
        "host",
        "id",
        "claim",
        "claimed",
        "billable",
        "provider",
        "gpu_type",
        "gpu_count",
        "usd_per_hour",
        "spent_usd",
        "held_since",
        "claimed_by",
        "left_at",
        "left_by",
        "expires_at",
        "observed",
        "finding",
        "acknowledged",
        "lease_id",
        "lease",
        "certainty",
        "evidence",
    ];

    /// The row of a resource, without its cost so far.
    pub(crate) fn of(held: &Holding<'_>, record: &Record, state: &State, certainty: Certainty) -> Resource {
        let observed = held.observation().map(ObservedRow::of);
        let finding = finding_rules::shown(held);
        let holder = state.holder_of(held.claim);
        let evidence = finding.map(|finding| {
            let raised = held.facts.and_then(|facts| facts.finding.as_ref());
            let text = match raised {
                Some(raised) => raised.evidence.to_string(),
                None => finding_rules::unseen(held, record, holder),
            };
            let NextStep { text: next_step, request: next_request } =
                next_step(finding, held, record.unique_id.as_str());
            let cost = raised.and_then(|raised| raised.cost);
            Evidence { since: raised.map(|raised| raised.since), text, next_step, next_request, cost }
        });
        let lease = held.claim.lease_id.as_ref().map(|id| LeaseRow {
            lease_id: id.as_str().to_owned(),
            state: match holder {
                Holder::Lease(lease, _) => LeaseState::as_str(lease.state),
                Holder::None | Holder::Unknown => "unknown",
            },
        });
        let acknowledged = held.facts.and_then(|facts| facts.acknowledgement.as_deref());
        let left = held.left();
        let remote = match held.resource {
            ResourceRef::Remote(remote) => Some(remote),
            ResourceRef::Process(_) | ResourceRef::Container(_) => None,
        };
        Resource {
            plugin: record.unique_id.clone(),
            kind: held.slot.kind,
            host: held.host.map(str::to_owned),
            id: Some(held.slot.id.to_string()).filter(|id| !id.is_empty()),
            claim: held.claim_state(),
            claimed: held.resource.claimed().to_owned(),
            billable: held.is_billable(),
            provider: remote.map(|remote| remote.provider),
            gpu_type: remote.and_then(|remote| remote.gpu_type.clone()),
            gpu_count: remote.map(|remote| remote.gpu_count),
            usd_per_hour: hourly_now(held),
            spent_usd: None,
            held_since: held.claim.held_since,
            claimed_by: OriginRow::of(&held.claim.by),
            left_at: left.map(|left| left.at),
            left_by: left.and_then(|left| OriginRow::of(&left.by)),
            expires_at: held.claim.expiry.map(|expiry| expiry.at),
            observed,
            finding,
            acknowledged: acknowledged.filter(|one| Some(one.finding) == finding).map(AcknowledgedRow::of),
            lease_id: lease.as_ref().map(|lease| lease.lease_id.clone()),
            lease,
            certainty,
            evidence,
            left_on: held.slot.host.clone(),
        }
    }

    /// Adds the cost up to `now`.
    pub fn count_spent(&mut self, state: &State, now: Timestamp) {
        let Some(record) = state.plugin(self.plugin.as_str()).filter(|_| self.kind == ResourceKind::Remote) else {
            return;
        };
        let id = self.id.as_deref().unwrap_or_default();
        let mut held = record.held().filter(|held| held.slot.kind == ResourceKind::Remote);
        let spent = held.find(|held| &*held.slot.id == id).and_then(|held| state.spent_on(&held, record, now));
        self.spent_usd = spent.map(|Spend { low, high }| SpentRow { low_usd: low, high_usd: high });
    }

    /// The key of the resource.
    pub fn key(&self) -> ResourceKey {
        let id = self.id.clone().unwrap_or_default().into();
        ResourceKey { plugin: self.plugin.clone(), kind: self.kind, id, host: self.left_on.clone() }
    }
}

impl OriginRow {
    fn of(origin: &Origin) -> Option<OriginRow> {
        let Origin { principal, request_id } = origin;
        let row = OriginRow {
            principal: principal.as_deref().map(str::to_owned),
            request_id: request_id.as_deref().map(str::to_owned),
        };
        (row.principal.is_some() || row.request_id.is_some()).then_some(row)
    }
}

impl AcknowledgedRow {
    fn of(acknowledged: &Acknowledgement) -> AcknowledgedRow {
        AcknowledgedRow {
            reason: acknowledged.reason.to_string(),
            until: acknowledged.until,
            at: acknowledged.at,
            by: OriginRow::of(&acknowledged.by),
        }
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
