//! The reasons for refusing a command.

use std::sync::Arc;

use jiff::Timestamp;

use super::schema_question::SchemaQuestion;
use crate::lease::{LeaseId, MAX_LEASES};
use crate::plugin::{Invalid, PluginKey, UniqueId};
use crate::record::Slot;
use crate::revision::Revision;

/// Why a command was refused. Nothing changed, and no revision was used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Refusal {
    /// There is no such plugin.
    #[error("there is no plugin `{0}`")]
    NotFound(UniqueId),
    /// There is no such budget.
    #[error("there is no budget `{0}`")]
    NoBudget(Box<str>),
    /// The number of budgets is at its maximum.
    #[error("there are {} budgets, which is the maximum; remove one first", crate::cost::budget::MAX_BUDGETS)]
    TooManyBudgets,
    /// The unique_id belongs to another (category, name).
    #[error("the unique_id `{unique_id}` belongs to {holder}")]
    IdTaken { unique_id: UniqueId, holder: PluginKey },
    /// The document's name and category do not match the addressed id.
    #[error("the identity of `{id}` is fixed: {detail}")]
    IdentityFixed { id: UniqueId, field: Option<&'static str>, detail: String },
    /// The precondition of the request does not hold.
    #[error("the precondition of the request does not hold")]
    PreconditionFailed { current: Option<Revision> },
    /// There is no such lease.
    #[error("there is no lease `{0}`")]
    NoLease(LeaseId),
    /// The lease was given back.
    #[error("the lease `{0}` was released; ask for a new one")]
    LeaseReleased(LeaseId),
    /// The number of leases is at its maximum.
    #[error("there are {MAX_LEASES} active leases, which is the maximum; release some first")]
    TooManyLeases,
    /// The principal has its share of active leases.
    #[error(
        "`{principal}` holds {most} active leases, which is the share of a token; release some first, or raise \
         --max-leases-per-token"
    )]
    TooManyLeasesOfOne { principal: Arc<str>, most: usize },
    /// The number of plugins is at its quota.
    #[error("there are {most} plugins, which is the maximum; remove some, or raise --max-plugins")]
    TooManyPlugins { most: usize },
    /// The documents would exceed their quota of bytes.
    #[error("the registry would hold {would_be} bytes of at most {most}; remove plugins, or raise --max-bytes")]
    TooManyBytes { most: u64, would_be: u64 },
    /// Another agent reports for the same host.
    #[error("{by} reports for the host {host} and did so last at {at}; run one agent per host")]
    AnotherAgent { host: Box<str>, by: Box<str>, at: Timestamp },
    /// The plugin holds resources that may still run or bill.
    #[error("`{id}` still holds {held}")]
    StillHeld { id: UniqueId, held: String },
    /// The plugin does not hold the resource.
    #[error("`{id}` does not hold the {} `{}`", slot.kind.as_str(), slot.id)]
    NotHeld { id: UniqueId, slot: Slot },
    /// The resource has no finding to acknowledge.
    #[error("the {} `{}` of `{id}` has no finding to acknowledge", slot.kind.as_str(), slot.id)]
    NoFinding { id: UniqueId, slot: Slot },
    /// The plugin holds nothing that could stop.
    #[error("`{0}` holds nothing that may still run or bill, so there is nothing to stop")]
    NothingToStop(UniqueId),
    /// There is no request to stop that could be answered.
    #[error("there is no request to stop `{0}`")]
    NoStopRequest(UniqueId),
    /// The principal may not do the command.
    #[error("{0}")]
    Forbidden(String),
    /// The resulting document breaks the rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The idempotency key was used for another request.
    #[error("the Idempotency-Key was used for another request within the last 24 hours; use a new one for each")]
    KeyReused,
    /// The command needs an expensive check first. The caller of [`decide`](crate::command::decide::decide) makes the
    /// check and retries, so this never leaves the registry.
    #[error("the schema must be checked first")]
    NotChecked(SchemaQuestion),
}
