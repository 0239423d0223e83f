//! What is sent of leases.

use serde_json::json;

use super::RequestDocument;
use crate::http::handlers::leases::{FIELDS, MAX_HOLDER, terms_of};
use domain::lease::{DEFAULT_TTL, MAX_TTL, MIN_TTL};
use domain::plugin::read::ObjectReader;

pub(super) const LEASE: RequestDocument = RequestDocument {
    name: "LeaseRequest",
    help: "What is sent to be granted a lease.",
    fields: FIELDS,
    ignored: &[],
    required: &["holder"],
    properties: || {
        json!({
            "holder": {
                "type": "string", "minLength": 1, "maxLength": MAX_HOLDER, "examples": ["trainer@gpu-1"],
                "description": "Who holds it: the application, for people.",
            },
            "host": {
                "type": ["string", "null"], "minLength": 1, "maxLength": MAX_HOLDER,
                "description": "The host that it runs on.",
            },
            "ttl_seconds": {
                "type": "integer", "format": "int32", "minimum": MIN_TTL, "maximum": MAX_TTL,
                "description": format!(
                    "How long the lease lasts without being renewed, in seconds (default: {DEFAULT_TTL}). More notices \
                     a dead application later; less takes a slow network for one."
                ),
            },
        })
    },
    is_closed: true,
    read: |body| terms_of(body).map(drop),
    patch: None,
};

pub(super) const EMPTY_OBJECT: RequestDocument = RequestDocument {
    name: "EmptyObject",
    help: "An object without fields.",
    fields: &[],
    ignored: &[],
    required: &[],
    properties: || json!({}),
    is_closed: true,
    read: |body| ObjectReader::new(body, "", &[], &[])?.finish(),
    patch: None,
};
