//! A change as an event, in the form of CloudEvents 1.0 (structured mode, JSON event format).

use bytes::Bytes;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::change::{ChangeKind, Event};
use super::cost::BudgetEvent;
use super::document::Record;
use super::revision::{Revision, StoreId};
use super::transition::{Step, Transition};

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
    /// The plugin's unique_id, the category's name, or the budget's id.
    subject: String,
    /// When the change was made (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
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
    /// What changed, by field of the plugin (or `display_name` of the category); nothing when the plugin is new.
    #[schema(value_type = std::collections::BTreeMap<String, FieldChange>)]
    changed: IndexMap<&'a str, FieldChange<'a>>,
    /// The budget after the change, or the threshold that it has reached, with what was spent by then. Only in the events
    /// of budgets; null when it is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    budget: Option<Value>,
    /// `X-Request-Id` of the request that asked for it.
    #[schema(required)]
    request_id: Option<&'a str>,
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

/// The event of a transition, as JSON.
pub(super) fn serialise(transition: &Transition, store: &StoreId) -> Bytes {
    let change = &transition.change;
    let names = DisplayNames::of(&transition.step);
    let changed = match &transition.step {
        Step::Plugin { before, after } => differences(before.as_deref(), after.as_deref()),
        Step::Category { .. } => {
            let (before, after) = (names.before.as_deref(), names.after.as_deref());
            IndexMap::from([("display_name", FieldChange { before, after })])
        }
        Step::Budget => IndexMap::new(),
    };
    let budget = match &change.event {
        Event::Budget { event, .. } => Some(budget_data(event)),
        _ => None,
    };
    let data = EventData {
        revision: change.revision,
        plugin: transition.after().and_then(|record| raw(record)),
        changed,
        budget,
        request_id: change.request_id.as_deref(),
    };
    let event = CloudEvent {
        specversion: "1.0",
        id: change.revision.to_string(),
        source: source(store),
        kind: change.event.kind(),
        subject: change.event.subject(),
        time: change.at,
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

/// A category's display names, as JSON.
struct DisplayNames {
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
}

impl DisplayNames {
    fn of(step: &Step) -> DisplayNames {
        let json = |name: &Option<Box<str>>| name.as_ref().and_then(|name| serde_json::value::to_raw_value(name).ok());
        match step {
            Step::Plugin { .. } | Step::Budget => DisplayNames { before: None, after: None },
            Step::Category { before, after } => DisplayNames { before: json(before), after: json(after) },
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
