//! What can be asked of the registry, what comes of it, and how it can be refused.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::cost::{Budget, Reached};
use super::document::Record;
use super::finding::Found;
use super::idempotency::{Answer, Attempt};
use super::lease::{LeaseId, LeaseTerms, MAX_LEASES};
use super::observation::ObservedState;
use super::resources::Slot;
use super::revision::{EntityTag, Revision, StoreId};
use super::state::State;
use super::vet::Question;
use crate::access::Principal;
use crate::plugin::{FreeJson, Invalid, Name, Pid, Pids, PluginKey, Registration, RemoteResource, UniqueId};

/// A command with what comes along with it.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// What must be true of the thing for the command to be done.
    pub precondition: Precondition,
    /// Who asks, with the authority that it has; `None` when it is the registry itself, which may do everything.
    pub principal: Option<Principal>,
    /// `X-Request-Id` of the HTTP request; kept in the journal.
    pub request_id: Option<Box<str>>,
    /// What makes it one that may be sent again.
    pub attempt: Option<Attempt>,
}

impl Request {
    /// A command without condition, asked by the registry itself.
    pub fn plain(command: Command) -> Request {
        Request { command, precondition: Precondition::default(), principal: None, request_id: None, attempt: None }
    }

    /// A command without condition, asked by somebody.
    pub fn by(asker: Asker, command: Command) -> Request {
        let Asker { principal, request_id } = asker;
        Request { principal, request_id, ..Request::plain(command) }
    }
}

/// Who asks, and by which request.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// See [`Request::principal`].
    pub principal: Option<Principal>,
    /// See [`Request::request_id`].
    pub request_id: Option<Box<str>>,
}

/// What can be asked. Every command changes at most one thing, and so makes at most one revision.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Command {
    /// Registers a plugin, new or standing already.
    Register(Box<Registration>),
    /// Registers a plugin at an id; the id must be the one that its name and category make.
    Replace { id: UniqueId, registration: Box<Registration> },
    /// Merges a patch (RFC 7396) into a plugin.
    Patch { id: UniqueId, patch: Map<String, Value> },
    /// Removes a plugin; unless forced, only one that holds nothing active or billable.
    Remove { id: UniqueId, force: bool },
    /// Replaces the process ids.
    SetPids { id: UniqueId, pids: Pids },
    /// Adds process ids.
    AddPids { id: UniqueId, pids: Pids },
    /// Removes one process id.
    RemovePid { id: UniqueId, pid: Pid },
    /// Replaces or clears the container id.
    SetContainer { id: UniqueId, container_id: Option<String> },
    /// Replaces or clears the remote resource.
    SetRemote { id: UniqueId, remote: Option<Box<RemoteResource>> },
    /// Merges a patch (RFC 7396) into the remote resource.
    PatchRemote { id: UniqueId, patch: Map<String, Value> },
    /// Saves a configuration, which sets `is_configured`.
    SaveConfig { id: UniqueId, config: FreeJson },
    /// Deletes the configuration, which clears `is_configured`.
    DeleteConfig { id: UniqueId },
    /// Gives a category a display name, or takes it away.
    NameCategory { name: Name, display_name: Option<Box<str>> },
    /// Lets a budget stand under an id, new or standing already.
    MakeBudget { id: Box<str>, budget: Box<Budget> },
    /// Merges a patch (RFC 7396) into a budget.
    PatchBudget { id: Box<str>, patch: Map<String, Value> },
    /// Removes a budget.
    RemoveBudget { id: Box<str> },
    /// Tells that a budget has reached a threshold, unless it was told before.
    ReachBudget { id: Box<str>, reached: Box<Reached> },
    /// Grants a lease.
    GrantLease { id: LeaseId, terms: LeaseTerms },
    /// Renews a lease as far as that is a change: one that is lost is found again.
    RenewLease { id: LeaseId },
    /// Gives a lease back.
    ReleaseLease { id: LeaseId },
    /// Calls a lease lost, if nothing has happened to it since `revision`.
    ExpireLease { id: LeaseId, revision: Revision },
    /// Forgets a lease, if nothing has happened to it since `revision`.
    ForgetLease { id: LeaseId, revision: Revision },
    /// Notes what was seen of what a plugin holds, as far as that is news.
    Observe { id: UniqueId, by: Box<str>, sightings: Vec<Look> },
    /// Raises findings of what a plugin holds, on the ground of what stood then.
    RaiseFindings { id: UniqueId, ground: Ground, findings: Vec<Found> },
    /// Clears findings, on the ground of what stood then.
    ClearFindings { id: UniqueId, ground: Ground, slots: Vec<Slot> },
    /// Releases of what a plugin holds those that were seen to be gone.
    DropGone { id: UniqueId, slots: Vec<Slot> },
}

/// One look at one of the things that a plugin holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// At which.
    pub slot: Slot,
    /// What was seen.
    pub state: ObservedState,
    /// When.
    pub at: Timestamp,
    /// What there is to say about it.
    pub detail: Option<Box<str>>,
    /// What tells it from a stranger of the same name.
    pub identity: Option<FreeJson>,
    /// When it was seen to be alive last before this, as far as is known.
    pub last_alive: Option<Timestamp>,
}

/// What a judgement rests on: it is void when anything of it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// The newest change to the plugin.
    pub plugin: Revision,
    /// The newest change to its lease, if it has one.
    pub lease: Option<Revision>,
}

/// Conditions of a request (RFC 9110 section 13.1) on the thing that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-Match`: the thing must be there and have one of these tags.
    pub if_match: Option<TagCondition>,
    /// `If-None-Match`: the thing must not be there, or have none of these tags.
    pub if_none_match: Option<TagCondition>,
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagCondition {
    /// `*`: whatever is there.
    Any,
    /// One of these. Tags that this service has not made match nothing and are left out.
    OneOf(Vec<EntityTag>),
}

impl TagCondition {
    /// Returns true if and only if `current` is there and is meant by this.
    pub fn matches(&self, current: Option<Revision>, store: &StoreId) -> bool {
        match (self, current) {
            (_, None) => false,
            (TagCondition::Any, Some(_)) => true,
            (TagCondition::OneOf(tags), Some(revision)) => {
                tags.iter().any(|tag| tag.revision == revision && tag.store == *store)
            }
        }
    }
}

impl Precondition {
    /// Returns true if and only if a thing whose newest revision is `current` fulfils it.
    pub fn holds(&self, current: Option<Revision>, store: &StoreId) -> bool {
        self.if_match.as_ref().is_none_or(|wanted| wanted.matches(current, store))
            && !self.if_none_match.as_ref().is_some_and(|unwanted| unwanted.matches(current, store))
    }
}

/// A command that was done, and is durable.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The newest revision right after the command.
    pub revision: Revision,
    /// The whole state right after a command that was not about a plugin. As long as it is kept, whatever is changed
    /// is copied first; a plugin is all there is to see of a command about it.
    pub state: Option<State>,
    /// The plugin after the command; `None` when it was removed, or the command was not about one.
    pub record: Option<Arc<Record>>,
    /// Whether the command made a plugin that was not there.
    pub created: bool,
    /// The answer to the first attempt, when this is another one: nothing was done now.
    pub repeated: Option<Arc<Answer>>,
}

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
    #[error("there are {} budgets already, which is the most; remove one first", super::cost::budget::MAX_BUDGETS)]
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
    /// Never leaves the registry: [`super::Registry::submit`] makes the check and asks again.
    #[error("the schema has to be checked first")]
    NotVetted(Question),
}

/// Why a submitted command has no outcome.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not be written. Nothing was published; the command may be repeated.
    #[error("the store cannot be written: {reason}")]
    StoreUnavailable {
        /// The kind of failure, in words that give nothing away.
        reason: &'static str,
    },
    /// Too many commands wait already; this one was not taken.
    #[error("too many changes are waiting to be written")]
    Overloaded,
    /// The registry is closing, and takes no more commands.
    #[error("the registry is shutting down")]
    Closed,
    /// A fault of this program.
    #[error("the writer failed")]
    WriterFailed,
}

impl SubmitError {
    /// How long the one who asked should wait before asking again, where that can help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SubmitError::Refused(_) | SubmitError::WriterFailed => None,
            SubmitError::Overloaded => Some(Duration::from_secs(1)),
            SubmitError::StoreUnavailable { .. } | SubmitError::Closed => Some(Duration::from_secs(5)),
        }
    }
}
