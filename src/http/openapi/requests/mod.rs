//! The documents that clients send: a row for each, with its name, its fields and its reader.
//!
//! A default stands in the text of a field, and not as the keyword `default`: generators make such a field a required one.
//!
//! The names of the fields come from the tables that the readers use. A test reads with the reader of every row: a field that
//! a reader takes and a row lacks fails it, and so does a field that a row has and a reader refuses.

mod access;
mod budgets;
mod filters;
mod holdings;
mod leases;
mod observations;
mod plugins;
mod service;
mod stop_requests;
mod webhooks;

use serde_json::{Map, Value, json};

use domain::plugin::Invalid;

pub(crate) use filters::complete as complete_filters;

/// A document that clients send.
#[derive(Debug, Clone, Copy)]
pub struct RequestDocument {
    /// The name of its schema.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// The fields that its reader takes.
    pub fields: &'static [&'static str],
    /// The fields of a reply that its reader accepts and ignores.
    pub ignored: &'static [&'static str],
    /// The fields without which its reader refuses it.
    pub required: &'static [&'static str],
    /// The schemas of `fields`, by name.
    pub properties: fn() -> Value,
    /// Whether its schema refuses other fields. Its reader does in any case; 0.1.0 did not say so of all documents.
    pub is_closed: bool,
    /// Its reader.
    pub read: fn(Value) -> Result<(), Invalid>,
    /// The merge patch of it, where one can be sent.
    pub patch: Option<PatchDocument>,
}

/// A merge patch (RFC 7396) of a document: null clears, what is absent is kept.
#[derive(Debug, Clone, Copy)]
pub struct PatchDocument {
    /// The name of its schema.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// The fields that null cannot clear, beside the required ones.
    pub kept: &'static [&'static str],
    /// The schemas of those fields that are patched in part.
    pub properties: fn() -> Value,
}

/// Every document that clients send.
pub const DOCUMENTS: &[&RequestDocument] = &[
    &plugins::REGISTRATION,
    &plugins::REMOTE_RESOURCE,
    &plugins::SPAWNED_PIDS,
    &plugins::CONTAINER_ID,
    &plugins::NOTE,
    &stop_requests::STOP_REQUEST,
    &stop_requests::STOP_ANSWER,
    &holdings::EXPIRY,
    &holdings::ACKNOWLEDGEMENT,
    &holdings::RELEASE,
    &holdings::RESOURCE_NAME,
    &leases::LEASE,
    &leases::EMPTY_OBJECT,
    &observations::REPORT,
    &observations::OBSERVATION,
    &access::TOKEN,
    &access::SCOPE,
    &budgets::BUDGET,
    &webhooks::WEBHOOK,
    &service::CATEGORY_NAME,
    &service::LEVEL,
];

/// What a field is that is accepted and ignored.
const IGNORED: &str = "Accepted, so that a reply can be sent back, and ignored.";

impl RequestDocument {
    /// Its schema.
    pub fn schema(&self) -> Value {
        let mut schema = json!({"type": "object", "description": self.help, "properties": self.known_properties()});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        self.close(schema)
    }

    /// The schema of its merge patch.
    pub fn patch_schema(&self, patch: &PatchDocument) -> Value {
        let mut properties = self.known_properties();
        let in_part = (patch.properties)();
        for field in self.fields.iter().filter(|field| !self.required.contains(field) && !patch.kept.contains(field)) {
            let schema = in_part.get(field).cloned().unwrap_or_else(|| properties[*field].take());
            properties[*field] = nullable(schema);
        }
        self.close(json!({"type": "object", "description": patch.help, "properties": properties}))
    }

    /// The fields that its reader does not refuse.
    fn known_properties(&self) -> Value {
        let mut described = (self.properties)();
        let known = self.fields.iter().map(|field| ((*field).to_owned(), described[*field].take()));
        let ignored = self.ignored.iter().map(|field| ((*field).to_owned(), json!({"description": IGNORED})));
        Value::Object(known.chain(ignored).collect::<Map<_, _>>())
    }

    fn close(&self, mut schema: Value) -> Value {
        if self.is_closed {
            schema["additionalProperties"] = false.into();
        }
        schema
    }
}

/// Adds the schemas of all documents.
pub(crate) fn complete(schemas: &mut Value) {
    for document in DOCUMENTS {
        schemas[document.name] = document.schema();
        if let Some(patch) = &document.patch {
            schemas[patch.name] = document.patch_schema(patch);
        }
    }
}

/// What fits a schema, or null.
fn nullable(mut schema: Value) -> Value {
    let takes_null = |one: &Value| *one == json!({"type": "null"});
    let variants = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if schema["type"].is_array() || variants.is_some_and(|variants| variants.iter().any(takes_null)) {
        return schema;
    }
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut nullable = json!({"oneOf": [schema, {"type": "null"}]});
    if let Some(description) = description {
        nullable["description"] = description;
    }
    nullable
}

/// What a type's schema says of a document's fields.
fn properties_of<T: utoipa::PartialSchema>() -> Value {
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    schema["properties"].take()
}

/// A schema by its name.
fn reference(name: &str, help: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}"), "description": help})
}

/// A schema by its name, or null.
fn reference_or_null(name: &str, help: &str) -> Value {
    json!({"oneOf": [{"$ref": format!("#/components/schemas/{name}")}, {"type": "null"}], "description": help})
}
