//! What is sent of leases.

use serde_json::json;

use super::RequestDocument;
use crate::http::handlers::leases::{FIELDS, MAX_HOLDER, terms_of};
use domain::lease::{DEFAULT_TTL, MAX_TTL, MIN_TTL, OnGone};
use domain::plugin::read::ObjectReader;

pub(super) const LEASE: RequestDocument = RequestDocument {
    name: "LeaseRequest",
    help: "The request for a lease.",
    fields: FIELDS,
    ignored: &[],
    required: &["holder"],
    properties: || {
        json!({
            "holder": {
                "type": "string", "minLength": 1, "maxLength": MAX_HOLDER, "examples": ["trainer@gpu-1"],
                "description": "The application that holds the lease, for operators.",
            },
            "host": {
                "type": ["string", "null"], "minLength": 1, "maxLength": MAX_HOLDER,
                "description": "The host of the application.",
            },
            "ttl_seconds": {
                "type": "integer", "format": "int32", "minimum": MIN_TTL, "maximum": MAX_TTL,
                "description": format!(
                    "How long the lease lasts without a renewal, in seconds (default: {DEFAULT_TTL}). A longer time detects \
                     a dead application later; a shorter time mistakes a slow network for a dead application."
                ),
            },
            "on_gone": {
                "oneOf": [{"type": "string", "enum": OnGone::NAMES}, {"type": "null"}],
                "description": "What becomes of a resource that was claimed under the lease and seen gone, once the lease has \
                    ended: the registry marks it as a ghost, or releases it. Null or absent for the setting `--on-gone`.",
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
