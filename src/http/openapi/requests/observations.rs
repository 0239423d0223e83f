//! What agents send.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{RequestDocument, reference};
use crate::http::handlers::leases::MAX_HOLDER;
use crate::http::handlers::observations::{
    MAX_DETAIL, MAX_ID, MAX_OBSERVATIONS, OBSERVATION_FIELDS, REPORT_FIELDS, read, sighting,
};

pub(super) const REPORT: RequestDocument = RequestDocument {
    name: "ObservationReport",
    help: "What an agent has seen.",
    fields: REPORT_FIELDS,
    ignored: &[],
    required: &["by", "observations"],
    properties: || {
        json!({
            "by": {
                "type": "string", "minLength": 1, "maxLength": MAX_HOLDER, "examples": ["agent@gpu-1"],
                "description": "The agent's name.",
            },
            "host": {
                "type": ["string", "null"], "minLength": 1, "maxLength": MAX_HOLDER,
                "description": "The host that it looks at. Only one agent reports for a host.",
            },
            "at": {
                "type": "string", "format": "date-time",
                "description": "What time it is by the agent's clock; by this the times of the observations are set \
                                right. Now, when it is absent.",
            },
            "observations": {
                "type": "array", "maxItems": MAX_OBSERVATIONS, "items": {"$ref": "#/components/schemas/Observation"},
                "description": "What was seen.",
            },
        })
    },
    is_closed: true,
    read: |body| read(body, Timestamp::UNIX_EPOCH).map(drop),
    patch: None,
};

pub(super) const OBSERVATION: RequestDocument = RequestDocument {
    name: "Observation",
    help: "What was seen of one resource.",
    fields: OBSERVATION_FIELDS,
    ignored: &[],
    required: &["kind", "plugin", "id", "state"],
    properties: || {
        json!({
            "kind": reference("ResourceKind", "What it is."),
            "plugin": {"type": "string", "description": "Whose it is: a unique_id."},
            "id": {
                "type": "string", "maxLength": MAX_ID, "examples": ["4711"],
                "description": "What names it, as in `GET /resources`.",
            },
            "state": reference("ObservedState", "What was seen."),
            "detail": {
                "type": ["string", "null"], "maxLength": MAX_DETAIL, "description": "What there is to say about it.",
            },
            "identity": {
                "type": ["object", "null"], "description": "What tells it from a stranger of the same name.",
            },
            "at": {
                "type": "string", "format": "date-time",
                "description": "When, by the agent's clock; when it is absent, at the time of the report.",
            },
        })
    },
    is_closed: true,
    read: |body| sighting(body, "", Timestamp::UNIX_EPOCH, SignedDuration::ZERO).map(drop),
    patch: None,
};
