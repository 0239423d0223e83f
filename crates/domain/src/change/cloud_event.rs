//! A change as an event, in the form of CloudEvents 1.0 (structured mode, JSON event format).

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::event::{Change, ChangeKind, Event};
use super::step::Step;
use crate::cost::BudgetEvent;
use crate::lease::{Lease, LeaseText};
use crate::record::observation::ObservationChange;
use crate::record::{FindingChange, FindingKind, ObservedState, Record, ResourceKind, Slot};
use crate::revision::{Revision, StoreId};

/// The media type of one event.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Fields of a plugin's document that change with every change, and say nothing about it.
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
    /// Whose history this is: the store, as in `Registry-Store`.
    source: String,
    /// What kind of change it is.
    #[serde(rename = "type")]
    kind: ChangeKind,
    /// The plugin's unique_id, the category's name, or the id of the budget or lease.
    subject: String,
    /// When the change was made (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// Who has asked for it (an extension attribute): the name of a token, or `anonymous` while none are configured. Absent
    /// when the registry has made the change by itself, or before this was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    principal: Option<&'a str>,
    /// The media type of `data`.
    datacontenttype: &'static str,
    /// The change itself.
    data: EventData<'a>,
}

/// What an event tells. Saved configurations are never part of it: they may hold secrets.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventData<'a> {
    /// The revision of the change.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The plugin after the change; null when it is no more, or the event is not about a plugin.
    #[schema(value_type = Option<Object>, required)]
    plugin: Option<&'a RawValue>,
    /// What changed, by field of the plugin (or `display_name` of the category, `state` of the lease); nothing when
    /// the plugin is new.
    #[schema(value_type = std::collections::BTreeMap<String, FieldChange>)]
    changed: IndexMap<&'a str, FieldChange<'a>>,
    /// The budget after the change, or the threshold that it has reached, with what was spent by then. Only in the events
    /// of budgets; null when it is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    budget: Option<Value>,
    /// The lease after the change, or as it was when it is no more; absent when the event is about something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    lease: Option<LeaseText>,
    /// `resource.observed`: what was seen; `finding.raised` and `finding.cleared`: what is wrong, or is so no more. Absent
    /// in other events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    resources: Vec<EventResource<'a>>,
    /// `X-Request-Id` of the request that asked for it.
    #[schema(required)]
    request_id: Option<&'a str>,
}

/// A resource of the plugin that an event is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventResource<'a> {
    /// What it is.
    kind: ResourceKind,
    /// What names it, as in `GET /resources`.
    id: &'a str,
    /// What was seen. Only in `resource.observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    state: Option<ObservedState>,
    /// Since when it is known to be so. Not in `finding.cleared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Who has seen it. Only in `resource.observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<&'a str>,
    /// What is wrong with it, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finding: Option<FindingKind>,
    /// Why it is so: what was seen, when, by which observer, and what is known of the holder. Only in `finding.raised`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    evidence: Option<&'a str>,
}

impl<'a> EventResource<'a> {
    fn at(slot: &'a Slot) -> EventResource<'a> {
        let (kind, id) = (slot.kind, &*slot.id);
        EventResource { kind, id, state: None, since: None, by: None, finding: None, evidence: None }
    }

    /// Those of a change.
    fn all(change: &'a Change, step: &'a Step) -> Vec<EventResource<'a>> {
        let raised = |slot: &Slot| {
            let facts = step.before().and_then(|record| record.observed.get(slot));
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
            _ => Vec::new(),
        }
    }
}

/// The values of a field before and after a change; null where there was, or is, none.
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
    let data = EventData {
        revision: change.revision,
        plugin: step.after().and_then(|record| raw(record)),
        changed,
        budget,
        lease: step.lease().map(|lease| LeaseText::from(&**lease)),
        resources: EventResource::all(change, step),
        request_id: change.request_id.as_deref(),
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
    // Serialising to memory fails for no value of these types.
    serde_json::to_vec(&event).unwrap_or_default().into()
}

fn budget_data(event: &BudgetEvent) -> Value {
    match event {
        BudgetEvent::Saved(budget) => budget.document(),
        // Making a value of it fails for no value of its type.
        BudgetEvent::Reached(reached) => serde_json::to_value(reached).unwrap_or_default(),
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

/// The fields that differ, in the order of the document. A plugin that is new has no difference to
/// itself; of one that is no more, every field is told that had a value.
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
