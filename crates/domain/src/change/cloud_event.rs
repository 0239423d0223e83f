//! A change as an event in CloudEvents 1.0 (structured mode, JSON event format).

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::event::{Change, ChangeKind, Event};
use super::holding_act::{EndReason, HoldingAct, Note};
use super::step::Step;
use crate::cost::BudgetEvent;
use crate::lease::{Lease, LeaseText};
use crate::record::observation::ObservationChange;
use crate::record::{
    FindingChange, FindingKind, ObservedState, Record, ResourceKind, Slot, StopAnswerTerms, StopTerms,
};
use crate::revision::{Revision, StoreId};

/// The media type of one event.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Fields of a plugin's document that differ after every change. Listing them would tell the client nothing.
const ALWAYS_CHANGED: [&str; 2] = ["revision", "updated_at"];

/// A change, as an event of CloudEvents 1.0.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct CloudEvent<'a> {
    /// The version of CloudEvents: 1.0.
    specversion: &'static str,
    /// The revision of the change, in decimal digits. Unique within `source`.
    #[schema(examples("42"))]
    id: String,
    /// The store that the change belongs to, as in `Registry-Store`.
    source: String,
    /// The kind of change.
    #[serde(rename = "type")]
    kind: ChangeKind,
    /// The plugin's unique_id, the category's name, or the id of the budget or lease.
    subject: String,
    /// When the change was made (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// The caller that requested the change (an extension attribute): the name of a token, or `anonymous` while none
    /// are configured. Absent if the registry made the change, or if the change is older than this attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    principal: Option<&'a str>,
    /// The media type of `data`.
    datacontenttype: &'static str,
    /// The change itself.
    data: EventData<'a>,
}

/// The data of an event. Saved configurations are never part of it: they may hold secrets.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventData<'a> {
    /// The revision of the change.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The plugin after the change; null if it was removed, or if the event is not about a plugin.
    #[schema(value_type = Option<Object>, required)]
    plugin: Option<&'a RawValue>,
    /// The changed fields of the plugin (or `display_name` of the category, `state` of the lease); empty for a new
    /// plugin.
    #[schema(value_type = std::collections::BTreeMap<String, FieldChange>)]
    changed: IndexMap<&'a str, FieldChange<'a>>,
    /// The budget after the change, or what the registry reports: the threshold that was reached, the projected breach, or
    /// the burn beside its limit. Only in events of budgets; null if the budget was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    budget: Option<Value>,
    /// The lease after the change, or its last state if it was removed. Only in events of leases.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    lease: Option<LeaseText>,
    /// The resources that the event is about, in events of resources and findings. Absent in other events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    resources: Vec<EventResource<'a>>,
    /// The line that an application wrote. Only in `plugin.noted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    note: Option<&'a Note>,
    /// What a client asked for that wants the plugin to stop. Only in `plugin.stop_requested`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stop_request: Option<&'a StopTerms>,
    /// The answer to such a request. Only in `plugin.stop_answered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stop_answer: Option<&'a StopAnswerTerms>,
    /// `X-Request-Id` of the request that made the change.
    #[schema(required)]
    request_id: Option<&'a str>,
    /// `Registry-Reason` of that request: why the client made the change. Absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'a str>,
}

/// A resource of the plugin that an event is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventResource<'a> {
    /// The kind of resource.
    kind: ResourceKind,
    /// The resource's id, as in `GET /resources`.
    id: &'a str,
    /// The observed state. Only in `resource.observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    state: Option<ObservedState>,
    /// The time since which the state or the finding is known. Not in `finding.cleared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The agent that observed the resource. Only in `resource.observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<&'a str>,
    /// The finding that was raised or cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finding: Option<FindingKind>,
    /// The evidence of the finding: the observation, its time and agent, and the state of the holder. Only in
    /// `finding.raised`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    evidence: Option<&'a str>,
    /// The host where the plugin left the resource behind, if that is not the plugin's present host.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    host: Option<&'a str>,
    /// Why the plugin holds the resource no longer. Only in `resource.ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<EndReason>,
    /// Until when it is meant to be held. In `resource.expires_soon` and `resource.expiry_set`; absent for no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The acknowledgement of the finding. Only in `finding.acknowledged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    acknowledgement: Option<EventAcknowledgement<'a>>,
}

/// The acknowledgement of a finding.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventAcknowledgement<'a> {
    /// The reason.
    reason: &'a str,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl<'a> EventResource<'a> {
    fn at(slot: &'a Slot) -> EventResource<'a> {
        EventResource {
            kind: slot.kind,
            id: &slot.id,
            state: None,
            since: None,
            by: None,
            finding: None,
            evidence: None,
            host: slot.host.as_deref(),
            reason: None,
            expires_at: None,
            acknowledgement: None,
        }
    }

    /// The resources of a change.
    fn all(change: &'a Change, step: &'a Step) -> Vec<EventResource<'a>> {
        let raised = |slot: &Slot| {
            let facts = step.before().and_then(|record| record.holdings.get(slot));
            facts.and_then(|facts| facts.finding.as_ref()).map(|raised| raised.finding)
        };
        match &change.event {
            Event::ResourcesObserved { seen, .. } => {
                let resource = |ObservationChange { slot, observation }: &'a ObservationChange| EventResource {
                    state: Some(observation.state),
                    since: Some(observation.since),
                    by: Some(&observation.by),
                    ..EventResource::at(slot)
                };
                seen.iter().map(resource).collect()
            }
            Event::FindingsRaised { findings, .. } => {
                let resource = |FindingChange { slot, finding }: &'a FindingChange| EventResource {
                    since: Some(finding.since),
                    finding: Some(finding.finding),
                    evidence: Some(&finding.evidence),
                    ..EventResource::at(slot)
                };
                findings.iter().map(resource).collect()
            }
            Event::FindingsCleared { slots, .. } => {
                slots.iter().map(|slot| EventResource { finding: raised(slot), ..EventResource::at(slot) }).collect()
            }
            Event::Holdings { act, .. } => {
                act.slots().iter().map(|slot| EventResource::acted_on(slot, act, step)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A resource of a change of holdings.
    fn acted_on(slot: &'a Slot, act: &'a HoldingAct, step: &'a Step) -> EventResource<'a> {
        let held =
            |record: Option<&'a Arc<Record>>| record.and_then(|record| record.held().find(|held| held.slot == *slot));
        let at = EventResource::at(slot);
        match act {
            HoldingAct::LeftBehind { .. } => {
                let left = held(step.after()).and_then(|held| held.left());
                EventResource {
                    since: left.map(|left| left.at),
                    by: left.and_then(|left| left.by.principal.as_deref()),
                    ..at
                }
            }
            HoldingAct::Ended { reason, .. } => EventResource { reason: Some(*reason), ..at },
            HoldingAct::Released { .. }
            | HoldingAct::Noted { .. }
            | HoldingAct::StopRequested { .. }
            | HoldingAct::StopAnswered { .. } => at,
            HoldingAct::ExpiresSoon { .. } => EventResource {
                expires_at: held(step.after()).and_then(|held| held.claim.expiry).map(|expiry| expiry.at),
                ..at
            },
            HoldingAct::ExpirySet { expires_at, .. } => EventResource { expires_at: *expires_at, ..at },
            HoldingAct::Acknowledged { finding, reason, until, .. } => {
                let acknowledgement = Some(EventAcknowledgement { reason, until: *until });
                EventResource { finding: Some(*finding), acknowledgement, ..at }
            }
            HoldingAct::Unacknowledged { .. } => {
                let finding = step.before().and_then(|record| record.holdings.get(slot)?.acknowledgement.as_ref());
                EventResource { finding: finding.map(|acknowledged| acknowledged.finding), ..at }
            }
        }
    }
}

/// The values of a field before and after a change; null if absent.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldChange<'a> {
    /// Before.
    #[schema(value_type = Value)]
    before: Option<&'a RawValue>,
    /// After.
    #[schema(value_type = Value)]
    after: Option<&'a RawValue>,
}

/// The event of a change, as JSON.
pub(crate) fn serialise(change: &Change, step: &Step, store: &StoreId) -> Bytes {
    let names = CategoryNames::of(step);
    let changed = match step {
        Step::Plugin { before, after } => differences(before.as_deref(), after.as_deref()),
        Step::Category { .. } => {
            let (before, after) = (names.before.as_deref(), names.after.as_deref());
            IndexMap::from([("display_name", FieldChange { before, after })])
        }
        Step::Lease { .. } => {
            let (before, after) = (names.before.as_deref(), names.after.as_deref());
            IndexMap::from([("state", FieldChange { before, after })])
        }
        Step::Budget => IndexMap::new(),
    };
    let budget = match &change.event {
        Event::Budget { event, .. } => Some(budget_data(event)),
        _ => None,
    };
    let (mut note, mut stop_request, mut stop_answer) = (None, None, None);
    match &change.event {
        Event::Holdings { act: HoldingAct::Noted { note: line }, .. } => note = Some(line),
        Event::Holdings { act: HoldingAct::StopRequested { request }, .. } => stop_request = Some(request),
        Event::Holdings { act: HoldingAct::StopAnswered { answer }, .. } => stop_answer = Some(answer),
        _ => {}
    }
    let data = EventData {
        revision: change.revision,
        plugin: step.after().and_then(|record| raw(record)),
        changed,
        budget,
        lease: step.lease().map(|lease| LeaseText::shown(lease)),
        resources: EventResource::all(change, step),
        note,
        stop_request,
        stop_answer,
        request_id: change.request_id.as_deref(),
        reason: change.reason.as_deref(),
    };
    let event = CloudEvent {
        specversion: "1.0",
        id: change.revision.to_string(),
        source: source(store),
        kind: change.event.kind(),
        subject: change.event.subject(),
        time: change.at,
        principal: change.principal.as_deref(),
        datacontenttype: "application/json",
        data,
    };
    // Serialising these types to memory cannot fail.
    serde_json::to_vec(&event).unwrap_or_default().into()
}

fn budget_data(event: &BudgetEvent) -> Value {
    match event {
        BudgetEvent::Saved(budget) => budget.document(),
        // Converting this type to a value cannot fail.
        BudgetEvent::Told(notice) => serde_json::to_value(notice).unwrap_or_default(),
        BudgetEvent::Removed => Value::Null,
    }
}

/// The `source` of a store's events.
pub fn source(store: &StoreId) -> String {
    format!("urn:plugin-registry:{store}")
}

/// A category's display names, or a lease's states, as JSON.
struct CategoryNames {
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
}

impl CategoryNames {
    fn of(step: &Step) -> CategoryNames {
        let json = |text: Option<&str>| text.and_then(|text| serde_json::value::to_raw_value(text).ok());
        let state = |lease: &Option<Arc<Lease>>| json(lease.as_ref().map(|lease| lease.state.as_str()));
        match step {
            Step::Plugin { .. } | Step::Budget => CategoryNames { before: None, after: None },
            Step::Category { before, after } => {
                CategoryNames { before: json(before.as_deref()), after: json(after.as_deref()) }
            }
            Step::Lease { before, after } => CategoryNames { before: state(before), after: state(after) },
        }
    }
}

/// The fields that differ, in the order of the document. A new plugin has no differences; a removed plugin has one for
/// every field that had a value.
fn differences<'a>(before: Option<&'a Record>, after: Option<&'a Record>) -> IndexMap<&'a str, FieldChange<'a>> {
    let Some(before) = before else { return IndexMap::new() };
    let mut after = after.map(fields).unwrap_or_default();
    let mut changed = IndexMap::new();
    for (name, before) in fields(before) {
        let after = after.shift_remove(name);
        let same = after.is_some_and(|after| after.get() == before.get());
        let was_nothing = after.is_none() && before.get() == "null";
        if !same && !was_nothing && !ALWAYS_CHANGED.contains(&name) {
            changed.insert(name, FieldChange { before: Some(before), after });
        }
    }
    changed
}

fn fields(record: &Record) -> IndexMap<&str, &RawValue> {
    serde_json::from_slice(&record.json).unwrap_or_default()
}

fn raw(record: &Record) -> Option<&RawValue> {
    serde_json::from_slice(&record.json).ok()
}
