//! The bodies of requests, from the table of operations.

use serde_json::{Value, json};

use crate::http::media_type::{JSON, MERGE_PATCH, NDJSON};
use crate::http::operations::{Body, Operation};

/// Adds the body that an operation takes.
pub(crate) fn complete(operation: &Operation, described: &mut Value) {
    let of = |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
    let content = match operation.body {
        Body::Nothing => return,
        Body::AnyJson => json!({JSON: {"schema": {}}}),
        Body::Json(name) | Body::OptionalJson(name) => json!({JSON: of(name)}),
        Body::MergePatch(name) => json!({MERGE_PATCH: of(name), JSON: of(name)}),
        Body::JsonOrLines(name) => json!({JSON: of(name), NDJSON: {"schema": {"type": "string"}}}),
    };
    let is_required = !matches!(operation.body, Body::OptionalJson(_));
    described["requestBody"] = json!({"content": content, "required": is_required});
}
