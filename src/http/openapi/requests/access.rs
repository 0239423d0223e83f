//! What is sent of tokens.

use serde_json::{Value, json};

use super::{RequestDocument, reference, reference_or_null};
use crate::http::openapi::schemas::NAME;
use domain::access::scope::{MAX_CHARS, MAX_VALUES};
use domain::access::{Scope, TokenTerms};
use domain::plugin::identity::MAX_NAME_CHARS;

pub(super) const TOKEN: RequestDocument = RequestDocument {
    name: "TokenRequest",
    help: "What a token is to be.",
    fields: TokenTerms::FIELDS,
    ignored: &[],
    required: &["name", "role"],
    properties: || {
        json!({
            "name": {
                "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": NAME, "examples": ["trainer"],
                "description": "What events call its bearer; no two tokens in force have the same.",
            },
            "role": reference("Role", "What it is for."),
            "scope": reference_or_null(
                "ScopeRequest",
                "With which plugins it may be used; all when it is absent. Only for reporters and agents.",
            ),
            "expires_at": {
                "type": ["string", "null"], "format": "date-time",
                "description": "When it ends; never when it is absent.",
            },
        })
    },
    is_closed: true,
    read: |body| TokenTerms::read(body, "").map(drop),
    patch: None,
};

pub(super) const SCOPE: RequestDocument = RequestDocument {
    name: "ScopeRequest",
    help: "A part of all plugins: each condition that is there must hold; of its values, any will do.",
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
