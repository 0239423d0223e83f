//! What is sent of tokens.

use serde_json::{Value, json};

use super::{RequestDocument, reference, reference_or_null};
use crate::http::openapi::schemas::NAME;
use domain::access::scope::{MAX_CHARS, MAX_VALUES};
use domain::access::{Scope, TokenTerms};
use domain::plugin::identity::MAX_NAME_CHARS;

pub(super) const TOKEN: RequestDocument = RequestDocument {
    name: "TokenRequest",
    help: "The request for a token.",
    fields: TokenTerms::FIELDS,
    ignored: &[],
    required: &["name", "role"],
    properties: || {
        json!({
            "name": {
                "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": NAME, "examples": ["trainer"],
                "description": "The name of the token's bearer in events. Names of valid tokens are unique.",
            },
            "role": reference("Role", "The role of the token."),
            "scope": reference_or_null(
                "ScopeRequest",
                "The plugins that the token may be used with; all if absent. Only for reporters and agents.",
            ),
            "expires_at": {
                "type": ["string", "null"], "format": "date-time",
                "description": "When the token expires; never if absent.",
            },
        })
    },
    is_closed: true,
    read: |body| TokenTerms::read(body, "").map(drop),
    patch: None,
};

pub(super) const SCOPE: RequestDocument = RequestDocument {
    name: "ScopeRequest",
    help: "A part of all plugins: a plugin must match every condition, and one of the values of each.",
    fields: Scope::FIELDS,
    ignored: &[],
    required: &[],
    properties: || {
        let label = json!({"oneOf": [text(), texts(1)]});
        json!({
            "categories": texts(0), "hosts": texts(0),
            "labels": {
                "type": "object", "maxProperties": MAX_VALUES, "additionalProperties": label,
                "propertyNames": {"minLength": 1, "maxLength": MAX_CHARS},
            },
        })
    },
    is_closed: true,
    read: |body| Scope::read(body, "").map(drop),
    patch: None,
};

fn text() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": MAX_CHARS, "pattern": NAME})
}

fn texts(least: usize) -> Value {
    json!({"type": "array", "minItems": least, "maxItems": MAX_VALUES, "items": text()})
}
