//! What is sent of plugins, and of what they hold.

use serde_json::{Value, json};

use super::{PatchDocument, RequestDocument, properties_of, reference_or_null};
use crate::http::handlers::held_resources::{CONTAINER_FIELD, PIDS_FIELD, container_of, pids_of};
use crate::http::handlers::notes::{MAX_TEXT, NOTE_FIELDS, note_of};
use crate::http::openapi::schemas::{gpu_count, pids};
use domain::plugin::{READ_ONLY_FIELDS, Registration, RemoteResource};

const REMOTE: &str = "Its remote resource; null for none. Runtime field: kept if absent.";

pub(super) const REGISTRATION: RequestDocument = RequestDocument {
    name: "PluginRegistration",
    help: "A registration: the descriptive fields, and the runtime fields that the client names.\n\nIf the plugin exists, the \
           registry keeps runtime fields that are absent here. A resource that it no longer names, and that may still run \
           or bill, is left behind: it stays listed until a client releases it by name, or until it is seen gone.",
    fields: Registration::FIELDS,
    ignored: READ_ONLY_FIELDS,
    required: &["name", "category", "title", "config_schema"],
    properties: || {
        let mut properties = properties_of::<Registration>();
        properties["spawned_pids"] = pids();
        properties["remote_resource"] = reference_or_null("RemoteResourceRequest", REMOTE);
        properties
    },
    is_closed: true,
    read: |body| Registration::read(body).map(drop),
    patch: Some(PatchDocument {
        name: "PluginPatch",
        help: "A merge patch (RFC 7396) of a plugin: null clears, what is absent is kept.",
        kept: &[],
        properties: || {
            let mut labels = properties_of::<Registration>()["labels"].take();
            labels["additionalProperties"] = json!({"type": ["string", "null"]});
            json!({
                "labels": labels,
                "remote_resource": reference_or_null("RemoteResourcePatch", REMOTE),
            })
        },
    }),
};

pub(super) const REMOTE_RESOURCE: RequestDocument = RequestDocument {
    name: "RemoteResourceRequest",
    help: "A remote resource as it is sent: all but `provider` may be left out.",
    fields: RemoteResource::FIELDS,
    ignored: &[],
    required: &["provider"],
    properties: || {
        let mut properties = properties_of::<RemoteResource>();
        properties["gpu_count"] = gpu_count();
        properties
    },
    is_closed: true,
    read: |body| RemoteResource::read(body, "").map(drop),
    patch: Some(PatchDocument {
        name: "RemoteResourcePatch",
        help: "A merge patch (RFC 7396) of a remote resource: null clears, what is absent is kept.",
        kept: &[],
        properties: || Value::Null,
    }),
};

pub(super) const SPAWNED_PIDS: RequestDocument = RequestDocument {
    name: "SpawnedPids",
    help: "A request with process ids.",
    fields: &[PIDS_FIELD],
    ignored: &[],
    required: &[PIDS_FIELD],
    properties: || json!({PIDS_FIELD: pids()}),
    is_closed: true,
    read: |body| pids_of(body).map(drop),
    patch: None,
};

pub(super) const CONTAINER_ID: RequestDocument = RequestDocument {
    name: "ContainerId",
    help: "A request with a container id.",
    fields: &[CONTAINER_FIELD],
    ignored: &[],
    required: &[CONTAINER_FIELD],
    properties: || {
        json!({CONTAINER_FIELD: {
            "type": ["string", "null"],
            "description": "The id or name of the container, without white space, such as `4c01db0b339c`, `web`, or `docker://4c01db0b339c`; null clears the id.",
        }})
    },
    is_closed: true,
    read: |body| container_of(body).map(drop),
    patch: None,
};

pub(super) const NOTE: RequestDocument = RequestDocument {
    name: "NoteRequest",
    help: "A line for the history of a plugin.",
    fields: NOTE_FIELDS,
    ignored: &[],
    required: &["text"],
    properties: || {
        json!({
            "text": {
                "type": "string", "minLength": 1, "maxLength": MAX_TEXT,
                "pattern": r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
                "examples": ["checkpoint 7 written"], "description": "The line, for people.",
            },
            "data": {"description": "Anything else, for programs: at most 4 KiB of JSON."},
        })
    },
    is_closed: true,
    read: |body| note_of(body).map(drop),
    patch: None,
};
