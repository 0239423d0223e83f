//! Why a command was refused.

use jiff::Timestamp;

use super::schema_question::SchemaQuestion;
use crate::lease::{LeaseId, MAX_LEASES};
use crate::plugin::{Invalid, PluginKey, UniqueId};
use crate::revision::Revision;

/// Why a command was not done. Nothing was changed, and no revision was spent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Refusal {
    /// There is no such plugin.
    #[error("there is no plugin `{0}`")]
    NotFound(UniqueId),
    /// There is no such budget.
    #[error("there is no budget `{0}`")]
    NoBudget(Box<str>),
    /// There are as many budgets as there can be.
    #[error("there are {} budgets already, which is the most; remove one first", crate::cost::budget::MAX_BUDGETS)]
    TooManyBudgets,
    /// The unique_id belongs to another (category, name).
    #[error("the unique_id `{unique_id}` belongs to {holder}")]
    IdTaken { unique_id: UniqueId, holder: PluginKey },
    /// The document's name and category do not make the id that is addressed.
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
    /// There are as many leases as there can be.
    #[error("there are {MAX_LEASES} leases already, which is the most")]
    TooManyLeases,
    /// There are as many plugins as there may be.
    #[error("there are {most} plugins, which is the most; remove some, or raise --max-plugins")]
    TooManyPlugins { most: usize },
    /// There would be more bytes than there may be.
    #[error("the registry would hold {would_be} bytes of at most {most}; remove something, or raise --max-bytes")]
    TooManyBytes { most: u64, would_be: u64 },
    /// Another agent reports for the same host.
    #[error("{by} reports for the host {host} already, and did so last at {at}")]
    AnotherAgent { host: Box<str>, by: Box<str>, at: Timestamp },
    /// The plugin holds what may still run or bill.
    #[error("`{id}` still holds {held}")]
    StillHeld { id: UniqueId, held: String },
    /// The one who asks has no right to do it.
    #[error("{0}")]
    Forbidden(String),
    /// The document that would stand breaks the rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The key of the request was used for another one.
    #[error("the Idempotency-Key was used for another request within the last 24 hours; use a new one for each")]
    KeyReused,
    /// The command needs an expensive check, which it has not had.
    /// Never leaves the registry: the caller of [`decide`](crate::command::decide::decide) makes the check and asks again.
    #[error("the schema has to be checked first")]
    NotChecked(SchemaQuestion),
}
