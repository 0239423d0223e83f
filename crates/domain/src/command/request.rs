//! Requests to the registry: a command, its preconditions and its caller.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::idempotency::Attempt;
use crate::access::Principal;
use crate::change::Note;
use crate::cost::{Budget, Notice};
use crate::lease::{LeaseId, LeaseTerms};
use crate::plugin::{FreeJson, Name, Pid, Pids, Registration, RemoteResource, UniqueId};
use crate::record::{FindingChange, ObservedState, Slot, StopAnswerTerms, StopTerms};
use crate::revision::{EntityTag, Revision, StoreId};

/// A command with its preconditions, caller and idempotency key.
#[derive(Debug, Clone)]
pub struct Request {
    /// The command.
    pub command: Command,
    /// The conditions that its subject must meet.
    pub precondition: Precondition,
    /// The caller; `None` for the registry itself, which may do everything.
    pub principal: Option<Principal>,
    /// `X-Request-Id` of the HTTP request; the journal keeps it.
    pub request_id: Option<Box<str>>,
    /// Why the client makes the change, in its words; the journal keeps it.
    pub reason: Option<Box<str>>,
    /// The idempotency key, if the client sent one.
    pub attempt: Option<Attempt>,
}

impl Request {
    /// A command of the registry itself, without a precondition.
    pub fn plain(command: Command) -> Request {
        Request {
            command,
            precondition: Precondition::default(),
            principal: None,
            request_id: None,
            reason: None,
            attempt: None,
        }
    }

    /// A command of a caller, without a precondition.
    pub fn by(asker: Caller, command: Command) -> Request {
        let Caller { principal, request_id, reason } = asker;
        Request { principal, request_id, reason, ..Request::plain(command) }
    }
}

/// The caller, and the id of its request.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// See [`Request::principal`].
    pub principal: Option<Principal>,
    /// See [`Request::request_id`].
    pub request_id: Option<Box<str>>,
    /// See [`Request::reason`].
    pub reason: Option<Box<str>>,
}

/// A command. Every command changes at most one thing, and so makes at most one revision.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Command {
    /// Registers a plugin, new or existing.
    Register(Box<Registration>),
    /// Registers a plugin at an id, which must match its name and category.
    Replace { id: UniqueId, registration: Box<Registration> },
    /// Merges a patch (RFC 7396) into a plugin.
    Patch { id: UniqueId, patch: Map<String, Value> },
    /// Removes a plugin. Without `force`, the plugin must hold nothing active or billable.
    Remove { id: UniqueId, force: bool },
    /// Replaces the process ids.
    SetPids { id: UniqueId, pids: Pids },
    /// Adds process ids.
    AddPids { id: UniqueId, pids: Pids },
    /// Releases one process, also if it was left behind.
    RemovePid { id: UniqueId, pid: Pid },
    /// Releases the processes that the document names.
    ReleasePids { id: UniqueId },
    /// Replaces or clears the container id.
    SetContainer { id: UniqueId, container_id: Option<String> },
    /// Releases the container that the document names.
    ReleaseContainer { id: UniqueId },
    /// Replaces the remote resource.
    SetRemote { id: UniqueId, remote: Box<RemoteResource> },
    /// Releases the remote resource that the document names.
    ReleaseRemote { id: UniqueId },
    /// Releases resources by name, also those that were left behind.
    Release { id: UniqueId, slots: Vec<Slot> },
    /// Releases resources of many plugins by name, each by itself.
    ReleaseMany { items: Vec<ReleaseItem> },
    /// Sets or removes the time until which a resource is meant to be held.
    SetExpiry { id: UniqueId, slot: Slot, expires_at: Option<Timestamp> },
    /// Acknowledges the finding of a resource.
    Acknowledge { id: UniqueId, slot: Slot, terms: AcknowledgementTerms },
    /// Ends the acknowledgement of a finding.
    EndAcknowledgement { id: UniqueId, slot: Slot },
    /// Writes a line into the history of a plugin.
    Note { id: UniqueId, note: Note },
    /// Asks to stop what a plugin holds.
    RequestStop { id: UniqueId, request: StopTerms },
    /// Answers the request to stop what a plugin holds.
    AnswerStop { id: UniqueId, answer: StopAnswerTerms },
    /// Merges a patch (RFC 7396) into the remote resource.
    PatchRemote { id: UniqueId, patch: Map<String, Value> },
    /// Saves a configuration, which sets `is_configured`.
    SaveConfig { id: UniqueId, config: FreeJson },
    /// Deletes the configuration, which clears `is_configured`.
    DeleteConfig { id: UniqueId },
    /// Sets a category's display name; `None` removes it.
    NameCategory { name: Name, display_name: Option<Box<str>> },
    /// Creates or replaces a budget.
    MakeBudget { id: Box<str>, budget: Box<Budget> },
    /// Merges a patch (RFC 7396) into a budget.
    PatchBudget { id: Box<str>, patch: Map<String, Value> },
    /// Removes a budget.
    RemoveBudget { id: Box<str> },
    /// Records what the registry found of a budget, unless that is recorded already. `burn_told` is what the finder saw in
    /// [`Account::burn_told`](crate::cost::Account::burn_told).
    TellBudget { id: Box<str>, notice: Box<Notice>, burn_told: Revision },
    /// Grants a lease.
    GrantLease { id: LeaseId, terms: LeaseTerms },
    /// Renews a lease. This is a change only if the lease is lost: then it is active again.
    RenewLease { id: LeaseId },
    /// Releases a lease.
    ReleaseLease { id: LeaseId },
    /// Marks a lease as lost, unless it changed after `revision`.
    ExpireLease { id: LeaseId, revision: Revision },
    /// Removes a lease, unless it changed after `revision`.
    ForgetLease { id: LeaseId, revision: Revision },
    /// Writes a plugin again as it is, unless it changed after `revision`: its time lies in the future, and nothing would
    /// be counted until then.
    CorrectTime { id: UniqueId, revision: Revision },
    /// Records observations of held resources, if they differ from the last ones.
    Observe { id: UniqueId, by: Box<str>, sightings: Vec<ProbeResult> },
    /// Raises findings about held resources, unless the plugin or its lease changed after they were computed.
    RaiseFindings { id: UniqueId, ground: BasedOn, findings: Vec<FindingChange> },
    /// Clears findings, unless the plugin or its lease changed after that was computed.
    ClearFindings { id: UniqueId, ground: BasedOn, slots: Vec<Slot> },
    /// Releases the listed resources that were seen gone.
    DropGone { id: UniqueId, slots: Vec<Slot> },
    /// Ends resources that were left behind and seen gone, unless the plugin or a lease changed after that was computed.
    EndHoldings { id: UniqueId, ground: BasedOn, slots: Vec<Slot> },
    /// Warns that resources are meant to be released soon, unless the plugin or a lease changed after that was computed.
    WarnOfExpiry { id: UniqueId, ground: BasedOn, slots: Vec<Slot> },
    /// Ends acknowledgements whose time is over, unless the plugin or a lease changed after that was computed.
    ExpireAcknowledgements { id: UniqueId, ground: BasedOn, slots: Vec<Slot> },
}

/// The terms of an acknowledgement.
#[derive(Debug, Clone, PartialEq)]
pub struct AcknowledgementTerms {
    /// The reason, for people.
    pub reason: Box<str>,
    /// When it ends.
    pub until: Timestamp,
}

/// The result of probing one held resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
    /// The resource.
    pub slot: Slot,
    /// The observed state.
    pub state: ObservedState,
    /// When the agent probed it.
    pub at: Timestamp,
    /// When the registry heard of it. An earlier observation of a later time is of a clock that was wrong.
    pub heard_at: Timestamp,
    /// Details for people.
    pub detail: Option<Box<str>>,
    /// The identity, which distinguishes this resource from a later one of the same name.
    pub identity: Option<FreeJson>,
    /// The parent of a process when the probe first saw the process.
    pub parent: Option<FreeJson>,
    /// Why no process looks after this one, in words.
    pub abandoned: Option<Box<str>>,
    /// The last time before this probe at which the resource was seen alive, if known.
    pub last_alive: Option<Timestamp>,
}

/// The revisions that a finding was computed from. The registry discards the finding if either changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasedOn {
    /// The newest change to the plugin.
    pub plugin: Revision,
    /// The newest change to the leases of what it holds, if there are any.
    pub lease: Option<Revision>,
}

/// Conditions of a request (RFC 9110 section 13.1) on its subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-Match`: the subject must exist and have one of these tags.
    pub if_match: Option<TagCondition>,
    /// `If-None-Match`: the subject must not exist, or must have none of these tags.
    pub if_none_match: Option<TagCondition>,
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagCondition {
    /// `*`: anything that exists.
    Any,
    /// One of these tags. Tags that this service did not make match nothing, so the parser leaves them out.
    OneOf(Vec<EntityTag>),
}

impl TagCondition {
    /// Returns true if and only if `current` exists and has one of these tags.
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
    /// Returns true if and only if a subject whose newest revision is `current` meets the conditions.
    pub fn holds(&self, current: Option<Revision>, store: &StoreId) -> bool {
        self.if_match.as_ref().is_none_or(|wanted| wanted.matches(current, store))
            && !self.if_none_match.as_ref().is_some_and(|unwanted| unwanted.matches(current, store))
    }
}

/// One of many resources to release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseItem {
    /// The plugin that holds it.
    pub id: UniqueId,
    /// Its name; with the host, as a client knows it.
    pub slot: Slot,
    /// The revision that the plugin must have.
    pub if_revision: Option<Revision>,
}
