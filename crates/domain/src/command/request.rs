//! What can be asked of the registry, what comes of it, and how it can be refused.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::idempotency::Attempt;
use crate::access::Principal;
use crate::cost::{Budget, Reached};
use crate::lease::{LeaseId, LeaseTerms};
use crate::plugin::{FreeJson, Name, Pid, Pids, Registration, RemoteResource, UniqueId};
use crate::record::{FindingChange, ObservedState, Slot};
use crate::revision::{EntityTag, Revision, StoreId};

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
    pub fn by(asker: Caller, command: Command) -> Request {
        let Caller { principal, request_id } = asker;
        Request { principal, request_id, ..Request::plain(command) }
    }
}

/// Who asks, and by which request.
#[derive(Debug, Clone, Default)]
pub struct Caller {
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
    Observe { id: UniqueId, by: Box<str>, sightings: Vec<ProbeResult> },
    /// Raises findings of what a plugin holds, on the ground of what stood then.
    RaiseFindings { id: UniqueId, ground: BasedOn, findings: Vec<FindingChange> },
    /// Clears findings, on the ground of what stood then.
    ClearFindings { id: UniqueId, ground: BasedOn, slots: Vec<Slot> },
    /// Releases of what a plugin holds those that were seen to be gone.
    DropGone { id: UniqueId, slots: Vec<Slot> },
}

/// One look at one of the things that a plugin holds.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
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
pub struct BasedOn {
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
