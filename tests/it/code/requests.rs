//! The documents that clients send: the description has the fields that the readers take.

use std::collections::BTreeSet;

use domain::plugin::Invalid;
use plugin_registry::http::openapi::requests::{DOCUMENTS, RequestDocument};
use plugin_registry::http::operations::{Body, OPERATIONS};
use plugin_registry::http::router::description;
use serde_json::{Value, json};

/// What a reader says of a document, by place.
fn complaints(document: &RequestDocument, sent: Value) -> Vec<(String, String)> {
    let Err(Invalid(errors)) = (document.read)(sent) else { return Vec::new() };
    errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn every_field_that_a_reader_takes_is_described() {
    for document in DOCUMENTS {
        let properties = (document.properties)();
        let fields: BTreeSet<_> = document.fields.iter().copied().collect();
        assert_eq!(keys(&properties), fields, "{}", document.name);
        let schema = document.schema();
        for field in document.fields.iter().chain(document.ignored) {
            assert!(schema["properties"][field].is_object(), "{}: {field} has no schema", document.name);
        }
    }
}

#[test]
fn readers_know_the_fields_of_their_rows_and_no_others() {
    let is_unknown = |(_, detail): &(String, String)| detail.starts_with("unknown field");
    for document in DOCUMENTS {
        for field in document.fields.iter().chain(document.ignored) {
            let found = complaints(document, json!({*field: null}));
            assert!(!found.iter().any(is_unknown), "{}: {field}: {found:?}", document.name);
        }
        let found = complaints(document, json!({"no_such_field": null}));
        assert!(found.iter().any(is_unknown), "{} takes any field", document.name);
    }
}

#[test]
fn the_fields_that_a_reader_requires_are_the_required_ones() {
    for document in DOCUMENTS {
        let missing: BTreeSet<_> = complaints(document, json!({})).into_iter().map(|(pointer, _)| pointer).collect();
        let required: BTreeSet<_> = document.required.iter().map(|field| format!("/{field}")).collect();
        assert_eq!(missing, required, "{}", document.name);
    }
}

#[test]
fn every_body_of_an_operation_has_a_row() {
    let documents: BTreeSet<_> = DOCUMENTS.iter().map(|document| document.name).collect();
    let patches: BTreeSet<_> = DOCUMENTS.iter().filter_map(|document| document.patch).map(|patch| patch.name).collect();
    for operation in OPERATIONS {
        let (name, known) = match operation.body {
            Body::Nothing | Body::AnyJson => continue,
            Body::Json(name) | Body::OptionalJson(name) | Body::JsonOrLines(name) => (name, &documents),
            Body::MergePatch(name) => (name, &patches),
        };
        assert!(known.contains(name), "{} {}: {name} has no row", operation.method, operation.path);
    }
}

/// Every schema below `value`, with its place.
fn walk<'a>(value: &'a Value, place: &str, visit: &mut impl FnMut(&'a Value, &str)) {
    visit(value, place);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| walk(field, &format!("{place}/{name}"), visit)),
        Value::Array(items) => items.iter().for_each(|item| walk(item, place, visit)),
        _ => {}
    }
}

#[test]
fn generators_make_something_of_every_schema() {
    let description = description();
    let mut wrong = Vec::new();
    walk(&description["components"]["schemas"], "", &mut |schema, place| {
        let types: Vec<_> = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if types.contains(&"object") && schema["properties"].is_null() && schema["additionalProperties"].is_null() {
            wrong.push(format!("{place} does not say which fields it has"));
        }
        let has_text = |values: &Vec<Value>| values.iter().any(Value::is_string);
        if schema["enum"].as_array().is_some_and(|values| has_text(values) && !values.iter().all(Value::is_string)) {
            wrong.push(format!("{place} is an enumeration of several types"));
        }
        if !schema["patternProperties"].is_null() {
            wrong.push(format!("{place} has patternProperties, which generators do not know"));
        }
    });
    for document in DOCUMENTS {
        walk(&document.schema(), document.name, &mut |schema, place| {
            if schema.get("default").is_some() {
                wrong.push(format!("{place} has a default: generators make it a required field"));
            }
        });
    }
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        let items = schema["properties"].get("items");
        if items.is_some_and(|items| !items["items"]["$ref"].is_string()) {
            wrong.push(format!("{name}: the items have no type"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
