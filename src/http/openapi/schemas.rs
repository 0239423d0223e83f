//! The schemas of documents, where they differ from the types they are gathered from.

use serde_json::{Value, json};
use utoipa::{PartialSchema as _, ToSchema};

use crate::http::problem::ProblemDocument;
use domain::plugin::READ_ONLY_FIELDS;
use domain::plugin::identity::MAX_NAME_CHARS;
use domain::plugin::pids::MAX_PIDS;

/// A merge patch (RFC 7396) of a plugin: null clears, what is absent is kept.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct PluginPatch(Value);

/// A merge patch (RFC 7396) of a remote resource: null clears, what is absent is kept.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct RemoteResourcePatch(Value);

/// A remote resource as it is sent: all but `provider` may be left out.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct RemoteResourceRequest(Value);

/// A part of all plugins: each condition that is there must hold; of its values, any will do.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct ScopeRequest(Value);

/// An object without fields.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct EmptyObject(Value);

/// Fields that cannot be cleared, because they have no default.
const WITHOUT_DEFAULT: &[&str] = &["name", "category", "title", "config_schema", "provider"];

/// What a name is.
const NAME: &str = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$";

/// Completes the schemas.
pub(crate) fn complete(schemas: &mut Value) {
    let pids = json!({
        "type": "array", "maxItems": MAX_PIDS, "description": "The child processes that it holds: a set.",
        "items": {"type": "integer", "format": "int64", "minimum": 1, "maximum": u32::MAX},
    });
    for document in ["Plugin", "PluginRegistration", "SpawnedPids"] {
        schemas[document]["properties"]["spawned_pids"] = pids.clone();
    }
    schemas["Problem"] = serde_json::to_value(ProblemDocument::schema()).unwrap_or_default();
    let count = json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX, "description": "How many GPUs it has."});
    schemas["RemoteResource"]["properties"]["gpu_count"] = count;
    let remote = schemas["RemoteResource"].clone();
    // A reply has every field.
    schemas["RemoteResource"]["required"] = keys(&remote["properties"]).into();

    let mut request = remote;
    request["required"] = json!(["provider"]);
    describe(&mut request, &schemas["RemoteResourceRequest"]);
    schemas["RemoteResourcePatch"] = patch_of(&request, &schemas["RemoteResourcePatch"]);
    schemas["RemoteResourceRequest"] = request;

    let mut registration = schemas["PluginRegistration"].clone();
    registration["properties"]["remote_resource"] = nullable("RemoteResourceRequest");
    let mut patch = patch_of(&registration, &schemas["PluginPatch"]);
    patch["properties"]["remote_resource"] = nullable("RemoteResourcePatch");
    patch["properties"]["labels"]["oneOf"][0]["additionalProperties"] = json!({"type": ["string", "null"]});
    for document in [&mut registration, &mut patch] {
        for field in READ_ONLY_FIELDS {
            document["properties"][field] =
                json!({"description": "Accepted, so that a reply can be sent back, and ignored."});
        }
    }
    schemas["PluginRegistration"] = registration;
    schemas["PluginPatch"] = patch;
    // What strangers are not told is absent as a whole.
    let mut told = schemas["Readiness"]["allOf"][1].take();
    if let Some(Value::Object(details)) = schemas.as_object_mut().and_then(|all| all.remove("ReadinessDetails")) {
        let rest = details.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        told["properties"].as_object_mut().into_iter().for_each(|fields| fields.extend(rest.clone()));
    }
    describe(&mut told, &schemas["Readiness"]);
    schemas["Readiness"] = told;
    let texts = |least: usize| {
        json!({
            "type": "array", "minItems": least, "maxItems": 100,
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": NAME},
        })
    };
    let label = json!({"oneOf": [texts(1)["items"].clone(), texts(1)]});
    let described = schemas["ScopeRequest"]["description"].clone();
    schemas["ScopeRequest"] = json!({
        "type": "object", "description": described,
        "properties": {
            "categories": texts(0), "hosts": texts(0),
            "labels": {
                "type": "object", "maxProperties": 100, "additionalProperties": label,
                "propertyNames": {"minLength": 1, "maxLength": MAX_NAME_CHARS},
            },
        },
    });
    // Requests are refused for a field that is not known; to replies, fields may be added.
    let requests = [
        "PluginRegistration",
        "PluginPatch",
        "RemoteResourceRequest",
        "RemoteResourcePatch",
        "SpawnedPids",
        "ContainerId",
        "EmptyObject",
        "LeaseRequest",
        "ObservationReport",
        "Observation",
        "TokenRequest",
        "ScopeRequest",
    ];
    for request in requests {
        schemas[request]["additionalProperties"] = false.into();
    }
}

/// The schema of a merge patch of what `document` describes.
fn patch_of(document: &Value, described: &Value) -> Value {
    let mut patch = document.clone();
    if let Some(patch) = patch.as_object_mut() {
        patch.remove("required");
    }
    for (field, schema) in patch["properties"].as_object_mut().into_iter().flatten() {
        if !WITHOUT_DEFAULT.contains(&field.as_str()) {
            *schema = json!({"oneOf": [schema.clone(), {"type": "null"}]});
            let inner = &mut schema["oneOf"][0];
            // What is nullable already would be allowed twice.
            if inner["type"].is_array() {
                inner["type"] = inner["type"][0].take();
            }
            if inner.get("oneOf").is_some() {
                *schema = inner.take();
            }
        }
    }
    describe(&mut patch, described);
    patch
}

fn describe(schema: &mut Value, described: &Value) {
    schema["description"] = described["description"].clone();
}

fn nullable(schema: &str) -> Value {
    json!({"oneOf": [{"$ref": format!("#/components/schemas/{schema}")}, {"type": "null"}]})
}

fn keys(object: &Value) -> Vec<String> {
    object.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
}
