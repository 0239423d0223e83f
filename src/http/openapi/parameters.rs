//! Path, query and header parameters of every operation.

use serde_json::{Value, json};

use crate::http::extract::idempotency::MAX_KEY;
use crate::http::extract::reason::MAX_REASON;
use crate::http::media_type::EVENT_STREAM;
use crate::http::operations::{Idempotency, Operation};
use crate::http::query::list_params::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::http::query::parameter::{CONSISTENCY, MAX_HOURS, MAX_PART_CHARS, MAX_PARTS, Parameter, Values};
use crate::http::query::step_params::STEP_PATTERN;
use domain::access::Permission;
use domain::plugin::identity::MAX_NAME_CHARS;
use domain::record::ResourceKind;

/// A text without control characters.
const PRINTABLE: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";

/// Adds the parameters of an operation.
pub(crate) fn complete(operation: &Operation, described: &mut Value) {
    let mut parameters = path_parameters(operation.path);
    parameters.extend(operation.parameters().map(query_parameter));
    if operation.method == "GET" && !operation.is_of_service {
        parameters.push(query_parameter(&CONSISTENCY));
    }
    if operation.is_conditional {
        parameters.push(header("If-Match", "Only if it has one of these entity tags, or `*`: if it exists."));
        parameters
            .push(header("If-None-Match", "Only if it has none of these entity tags, or `*`: if it does not exist."));
    }
    if operation.idempotency == Idempotency::Honoured {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!#-\\[\\]-~]+$"});
        let help =
            "Names the request, so that it may be sent again: for 24 hours, a repeat is answered as the first one was.";
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "description": help, "schema": schema}));
    }
    if operation.method != "GET" && operation.permission != Permission::Observe {
        parameters.push(reason());
    }
    if operation.media_types.contains(&EVENT_STREAM) {
        parameters.push(last_event_id());
    }
    parameters.push(request_id());
    described["parameters"] = parameters.into();
}

fn path_parameters(path: &str) -> Vec<Value> {
    let mut parameters = Vec::new();
    let mut add = |name: &str, help: &str, schema: Value| {
        if path.contains(&format!("{{{name}}}")) {
            parameters.push(json!({
                "name": name, "in": "path", "required": true, "description": help, "schema": schema,
            }));
        }
    };
    let id =
        json!({"type": "string", "minLength": 1, "pattern": PRINTABLE, "examples": ["transcription_whisper_tiny"]});
    add("id", "The plugin's unique_id, percent-encoded.", id);
    let plugin =
        json!({"type": "string", "minLength": 1, "pattern": PRINTABLE, "examples": ["transcription_whisper_tiny"]});
    add("plugin", "The unique_id of the plugin that holds the resource, percent-encoded.", plugin);
    add("kind", "The kind of resource.", json!({"type": "string", "enum": ResourceKind::NAMES}));
    let resource = json!({"type": "string", "minLength": 1, "pattern": PRINTABLE, "examples": ["4711"]});
    add("resource_id", "The resource's id, as in `GET /resources`, percent-encoded.", resource);
    add("pid", "A process id.", json!({"type": "integer", "minimum": 1, "maximum": u32::MAX}));
    add("budget_id", "The budget's id.", json!({"type": "string", "minLength": 1, "pattern": PRINTABLE}));
    add("webhook_id", "The webhook's id.", json!({"type": "string", "minLength": 1, "pattern": PRINTABLE}));
    add("token_id", "The token's id.", json!({"type": "string", "minLength": 1, "pattern": PRINTABLE}));
    add("lease_id", "The lease's id.", json!({"type": "string", "minLength": 1, "pattern": PRINTABLE}));
    let name = json!({
        "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "examples": ["transcription"],
        "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$",
    });
    add("name", "The category, percent-encoded.", name);
    parameters
}

fn query_parameter(parameter: &Parameter) -> Value {
    let several = |items: Value| json!({"type": "array", "items": items, "minItems": 1});
    if parameter.name == "label." {
        return json!({
            "name": "labels", "in": "query", "description": parameter.help, "style": "form", "explode": true,
            "schema": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "propertyNames": {"pattern": "^label\\.[a-z]+$"},
            },
        });
    }
    let text = json!({"type": "string"});
    let schema = match parameter.values {
        Values::Flag => json!({"type": "boolean"}),
        Values::Texts => several(text),
        Values::Parts => {
            let mut parts = several(json!({"type": "string", "maxLength": MAX_PART_CHARS}));
            parts["maxItems"] = MAX_PARTS.into();
            parts
        }
        Values::Name(names) => json!({"type": "string", "enum": names}),
        Values::Names(names) | Values::Fields(names) => several(json!({"type": "string", "enum": names})),
        Values::Pids => json!({"type": "integer", "minimum": 1, "maximum": u32::MAX}),
        Values::Text if parameter.name == "cursor" => json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}),
        Values::Text => text,
        Values::Time => json!({"type": "string", "format": "date-time"}),
        Values::Revision => json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX}),
        Values::EventId => event_id(),
        Values::Moment => json!({"anyOf": [
            {"type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX}, {"type": "string", "format": "date-time"},
        ]}),
        Values::Duration => json!({"type": "string", "pattern": "^([0-9]{1,5}ms|[0-9]{1,2}s?|[0-5]m)$"}),
        Values::Step => json!({"type": "string", "pattern": STEP_PATTERN}),
        Values::Limit => json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
        Values::Hours => json!({"type": "number", "minimum": 0, "maximum": MAX_HOURS}),
        Values::Group => {
            json!({"type": "string", "pattern": r"^(plugin|category|provider|gpu_type|status_class|host|label\.[a-z]+)$"})
        }
        Values::Sort(names, default) => {
            let both = names.iter().flat_map(|name| [(*name).to_owned(), format!("-{name}")]);
            json!({"type": "string", "enum": both.collect::<Vec<_>>(), "default": default})
        }
    };
    let mut described = json!({"name": parameter.name, "in": "query", "description": parameter.help, "schema": schema});
    if described["schema"]["type"] == "array" {
        described["style"] = "form".into();
        described["explode"] = true.into();
    }
    described
}

/// The `id` of an event in a live stream; empty is the same as absent.
fn event_id() -> Value {
    json!({"type": "string", "pattern": "^(([0-9a-f]{32}-)?[0-9]{1,18})?$"})
}

/// The last event that the client of a live stream received.
fn last_event_id() -> Value {
    // A list ignores the field, so the field has no pattern.
    let help = "The `id` of the last event that the client received: a live stream continues after it.";
    json!({"name": "Last-Event-ID", "in": "header", "description": help, "schema": {"type": "string"}})
}

/// Why a client makes a change.
fn reason() -> Value {
    let help = "Why the client makes the change: a text for people, which the event and the history keep. UTF-8, or as in \
                RFC 8187: `UTF-8''nightly%20cleanup`.";
    let schema = json!({"type": "string", "minLength": 1, "maxLength": MAX_REASON, "pattern": "^[!-~]([ -~]*[!-~])?$"});
    json!({"name": "Registry-Reason", "in": "header", "description": help, "schema": schema})
}

/// The name that a client gives to a request.
fn request_id() -> Value {
    let help = "Names the request in the log and in the reply. The service makes a name if this is absent or unfit.";
    json!({"name": "X-Request-Id", "in": "header", "description": help, "schema": {"type": "string"}})
}

fn header(name: &str, help: &str) -> Value {
    let schema = json!({"type": "string", "pattern": "^(\\*|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$"});
    json!({"name": name, "in": "header", "description": help, "schema": schema})
}
