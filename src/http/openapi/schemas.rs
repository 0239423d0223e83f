//! The schemas of replies, where they differ from the types they are gathered from.

use serde_json::{Value, json};
use utoipa::PartialSchema as _;

use crate::http::problem::ProblemDocument;
use domain::plugin::pids::MAX_PIDS;

/// What a name is.
pub(crate) const NAME: &str = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$";

/// Completes the schemas.
pub(crate) fn complete(schemas: &mut Value) {
    schemas["Plugin"]["properties"]["spawned_pids"] = pids();
    schemas["Problem"] = serde_json::to_value(ProblemDocument::schema()).unwrap_or_default();
    // A reply has every field.
    let remote = &mut schemas["RemoteResource"];
    remote["properties"]["gpu_count"] = gpu_count();
    remote["required"] = keys(&remote["properties"]).into();
    // What strangers are not told is absent as a whole.
    let mut told = schemas["Readiness"]["allOf"][1].take();
    if let Some(Value::Object(details)) = schemas.as_object_mut().and_then(|all| all.remove("ReadinessDetails")) {
        let rest = details.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        told["properties"].as_object_mut().into_iter().for_each(|fields| fields.extend(rest.clone()));
    }
    told["description"] = schemas["Readiness"]["description"].take();
    schemas["Readiness"] = told;
    free_objects(schemas);
}

/// Process ids.
pub(crate) fn pids() -> Value {
    json!({
        "type": "array", "maxItems": MAX_PIDS, "description": "The child processes that it holds: a set.",
        "items": {"type": "integer", "format": "int64", "minimum": 1, "maximum": u32::MAX},
    })
}

/// A number of GPUs.
pub(crate) fn gpu_count() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX, "description": "How many GPUs it has."})
}

/// Says of objects without known fields that they may have any: generators take them for empty ones otherwise.
fn free_objects(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_object = fields.get("type").is_some_and(|types| {
                types == "object" || types.as_array().is_some_and(|types| types.iter().any(|one| one == "object"))
            });
            let says_more = ["properties", "additionalProperties"].iter().any(|keyword| fields.contains_key(*keyword));
            if is_object && !says_more {
                fields.insert("additionalProperties".into(), true.into());
            }
            fields.values_mut().for_each(free_objects);
        }
        Value::Array(items) => items.iter_mut().for_each(free_objects),
        _ => {}
    }
}

fn keys(object: &Value) -> Vec<String> {
    object.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
}
