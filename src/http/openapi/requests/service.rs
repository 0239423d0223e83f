//! What is sent of categories, and of the service itself.

use serde_json::json;

use super::RequestDocument;
use crate::http::handlers::{categories, log_level};
use crate::telemetry::log_level::MAX_LENGTH;
use domain::plugin::identity::MAX_NAME_CHARS;

pub(super) const CATEGORY_NAME: RequestDocument = RequestDocument {
    name: "CategoryName",
    help: "The display name of a category.",
    fields: categories::FIELDS,
    ignored: categories::READ_ONLY,
    required: &["display_name"],
    properties: || {
        json!({"display_name": {
            "type": ["string", "null"], "minLength": 1, "maxLength": MAX_NAME_CHARS,
            "description": "The display name; null restores the name that the registry derives.",
        }})
    },
    is_closed: false,
    read: |body| categories::display_name_of(body).map(drop),
    patch: None,
};

pub(super) const LEVEL: RequestDocument = RequestDocument {
    name: "LevelRequest",
    help: "The log level.",
    fields: log_level::FIELDS,
    ignored: &[],
    required: &["level"],
    properties: || {
        json!({"level": {
            "type": "string", "minLength": 1, "maxLength": MAX_LENGTH,
            "examples": ["info", "warn,plugin_registry::http=debug"],
            "description": "The lowest level that is logged: off, error, warn, info, debug or trace. Comma-separated \
                            directives such as `target=debug` set the level of parts of the service.",
        }})
    },
    is_closed: false,
    read: |body| log_level::level_of(body).map(drop),
    patch: None,
};
