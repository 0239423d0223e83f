//! What is sent of held resources.

use serde_json::{Value, json};

use super::RequestDocument;
use crate::http::handlers::holdings::{ACKNOWLEDGEMENT_FIELDS, EXPIRY_FIELD, MAX_REASON, expiry_of, terms_of};
use crate::http::handlers::release::{MAX_RELEASED, RELEASE_FIELDS, RESOURCE_FIELDS, released, resource};
use domain::record::ResourceKind;

pub(super) const EXPIRY: RequestDocument = RequestDocument {
    name: "ExpiryRequest",
    help: "Until when a resource is meant to be held.",
    fields: &[EXPIRY_FIELD],
    ignored: &[],
    required: &[EXPIRY_FIELD],
    properties: || {
        json!({EXPIRY_FIELD: {
            "type": ["string", "null"], "format": "date-time", "description": "The time (RFC 3339); null for no end.",
        }})
    },
    is_closed: true,
    read: |body| expiry_of(body).map(drop),
    patch: None,
};

pub(super) const ACKNOWLEDGEMENT: RequestDocument = RequestDocument {
    name: "AcknowledgementRequest",
    help: "The acknowledgement of a finding.",
    fields: ACKNOWLEDGEMENT_FIELDS,
    ignored: &[],
    required: ACKNOWLEDGEMENT_FIELDS,
    properties: || {
        json!({
            "reason": {
                "type": "string", "minLength": 1, "maxLength": MAX_REASON, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
                "examples": ["kept for the night's run"], "description": "The reason, for people.",
            },
            "until": {
                "type": "string", "format": "date-time",
                "description": "When the acknowledgement ends (RFC 3339); a time in the future.",
            },
        })
    },
    is_closed: true,
    read: |body| terms_of(body).map(drop),
    patch: None,
};

pub(super) const RELEASE: RequestDocument = RequestDocument {
    name: "ReleaseRequest",
    help: "Resources to release by name.",
    fields: RELEASE_FIELDS,
    ignored: &[],
    required: RELEASE_FIELDS,
    properties: || {
        let items = json!({"$ref": "#/components/schemas/ResourceName"});
        json!({"resources": {
            "type": "array", "items": items, "minItems": 1, "maxItems": MAX_RELEASED, "description": "The resources.",
        }})
    },
    is_closed: true,
    read: |body| released(body).map(drop),
    patch: None,
};

pub(super) const RESOURCE_NAME: RequestDocument = RequestDocument {
    name: "ResourceName",
    help: "The name of a resource, as in `GET /resources`.",
    fields: RESOURCE_FIELDS,
    ignored: &[],
    required: &["plugin", "kind", "id"],
    properties: || {
        let text = |help: &str| json!({"type": "string", "description": help});
        let mut host = text("The host of the resource, if its plugin left it behind on a former host.");
        host["type"] = json!(["string", "null"]);
        json!({
            "plugin": text("The unique_id of its plugin."),
            "kind": {"type": "string", "enum": ResourceKind::NAMES, "description": "The kind of resource."},
            "id": text("Its id."),
            "host": host,
            "if_revision": {
                "type": ["integer", "null"], "minimum": 0, "maximum": i64::MAX,
                "description": "Release it only if this is the revision of its plugin.",
            },
        })
    },
    is_closed: true,
    read: |body: Value| resource(body, "").map(drop),
    patch: None,
};
