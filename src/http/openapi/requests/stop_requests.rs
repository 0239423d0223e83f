//! What is sent to ask to stop a plugin, and to answer that.

use serde_json::{Value, json};

use super::RequestDocument;
use crate::http::handlers::stop_requests::{ANSWER_FIELDS, MAX_TEXT, REQUEST_FIELDS, answer_of, request_of};
use domain::record::StopVerdict;

pub(super) const STOP_REQUEST: RequestDocument = RequestDocument {
    name: "StopRequest",
    help: "A request to stop a plugin. Both fields may be absent.",
    fields: REQUEST_FIELDS,
    ignored: &[],
    required: &[],
    properties: || {
        json!({
            "reason": text("The reason, for people.", "the demo is over"),
            "deadline": {
                "type": ["string", "null"], "format": "date-time",
                "description": "Until when the plugin should have stopped, in the future.",
            },
        })
    },
    is_closed: true,
    read: |body| request_of(body).map(drop),
    patch: None,
};

pub(super) const STOP_ANSWER: RequestDocument = RequestDocument {
    name: "StopAnswer",
    help: "The answer to a request to stop a plugin.",
    fields: ANSWER_FIELDS,
    ignored: &[],
    required: &["answer"],
    properties: || {
        json!({
            "answer": {"type": "string", "enum": StopVerdict::NAMES, "description": "Whether the plugin will stop."},
            "detail": text("What is done, or why not, for people.", "sent SIGTERM to process 4711"),
        })
    },
    is_closed: true,
    read: |body| answer_of(body).map(drop),
    patch: None,
};

fn text(help: &str, example: &str) -> Value {
    json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": MAX_TEXT,
        "pattern": r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
        "examples": [example], "description": help,
    })
}
