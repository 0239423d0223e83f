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
    help: "A report of an agent.",
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
                "description": "The host of the resources. Only one agent reports for a host.",
            },
            "at": {
                "type": "string", "format": "date-time",
                "description": "The time of the agent's clock. The registry corrects the times of the observations by the \
                                difference to its own clock. The default is the registry's time.",
            },
            "observations": {
                "type": "array", "maxItems": MAX_OBSERVATIONS, "items": {"$ref": "#/components/schemas/Observation"},
                "description": "The agent's observations.",
            },
        })
    },
    is_closed: true,
    read: |body| read(body, Timestamp::UNIX_EPOCH).map(drop),
    patch: None,
};

pub(super) const OBSERVATION: RequestDocument = RequestDocument {
    name: "Observation",
    help: "An observation of a resource.",
    fields: OBSERVATION_FIELDS,
    ignored: &[],
    required: &["kind", "plugin", "id", "state"],
    properties: || {
        json!({
            "kind": reference("ResourceKind", "The kind of the resource."),
            "plugin": {"type": "string", "description": "The unique_id of the plugin that holds the resource."},
            "id": {
                "type": "string", "maxLength": MAX_ID, "examples": ["4711"],
                "description": "The id of the resource, as in `GET /resources`.",
            },
            "state": reference("ObservedState", "The state of the resource."),
            "detail": {
                "type": ["string", "null"], "maxLength": MAX_DETAIL, "description": "Details for the operator.",
            },
            "identity": {
                "type": ["object", "null"], "description": "Properties that distinguish the resource from another resource with the same id.",
            },
            "parent": {
                "type": ["object", "null"], "description": "The parent of a process when the agent first saw the process. The registry keeps the first one.",
            },
            "abandoned": {
                "type": ["string", "null"], "maxLength": MAX_DETAIL,
                "examples": ["its parent 4711 `python app.py` has ended; it was handed to process 1 `systemd`"],
                "description": "Evidence that the parent of a process has ended, in each observation for which that is true.",
            },
            "at": {
                "type": "string", "format": "date-time",
                "description": "The time of the observation by the agent's clock; the default is the time of the report.",
            },
        })
    },
    is_closed: true,
    read: |body| sighting(body, "", Timestamp::UNIX_EPOCH, SignedDuration::ZERO).map(drop),
    patch: None,
};
