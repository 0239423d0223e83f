//! The schemas of webhooks: what can be sent, from the tables that the code itself uses.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::http::query::list_params::PLUGIN_LIST;
use crate::http::query::parameter::{Parameter, Values};
use crate::webhook::hook::{MAX_DESCRIPTION, READ_ONLY};
use crate::webhook::target::MAX_URL;
use domain::change::ChangeKind;
use domain::query::filter_text;

/// A webhook as it is sent: all but `url` may be left out.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct WebhookRequest(Value);

/// A merge patch (RFC 7396) of a webhook: null clears, what is absent is kept.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct WebhookPatch(Value);

/// The filters of `GET /plugins`: all must hold; of several values, any will do. The webhook gets a
/// change when the plugin fulfils them before it or after it. With any filter, it gets no changes of categories.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes a document, which is read by hand")]
pub struct WebhookFilters(Value);

/// Completes the schemas.
pub(crate) fn complete(schemas: &mut Value) {
    let text = |schemas: &Value, name: &str| schemas[name]["description"].clone();
    let mut request = json!({
        "type": "object",
        "description": text(schemas, "WebhookRequest"),
        "required": ["url"],
        "additionalProperties": false,
        "properties": {
            "url": {
                "type": "string", "maxLength": MAX_URL, "pattern": r"^https?://[^\s\x00-\x1f\x7f-\x9f\\]+$",
                "examples": ["https://example.com/hooks/registry"],
                "description": "Where deliveries go: http or https, without user name and fragment. Private, loopback, \
                                link-local and metadata addresses are refused unless a setting allows them.",
            },
            "description": {
                "type": ["string", "null"], "maxLength": MAX_DESCRIPTION, "description": "What it is for.",
            },
            "filters": {"$ref": "#/components/schemas/WebhookFilters"},
            "kinds": {
                "type": "array", "items": {"type": "string", "enum": ChangeKind::NAMES},
                "description": "Which kinds of changes it gets; all when the list is empty.",
            },
            "enabled": {"type": "boolean", "default": true, "description": "Whether deliveries are made."},
            "secret": {
                "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]+=*$",
                "examples": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
                "description": "What deliveries are signed with: `whsec_` and 24 to 64 bytes in base64. Made here when it is absent.",
            },
            "after": {
                "type": "integer", "format": "int64", "minimum": 0,
                "description": "Deliveries begin with the change after this revision; when it is absent, with the next one.",
            },
        },
    });
    for field in READ_ONLY {
        request["properties"][field] =
            json!({"description": "Accepted, so that a reply can be sent back, and ignored."});
    }
    let mut patch = request.clone();
    patch["description"] = text(schemas, "WebhookPatch");
    if let Some(patch) = patch.as_object_mut() {
        patch.remove("required");
    }
    for field in ["kinds", "enabled", "after"] {
        let kept = patch["properties"][field].take();
        patch["properties"][field] = json!({"oneOf": [kept, {"type": "null"}]});
    }
    let description = text(schemas, "WebhookFilters");
    patch["properties"]["filters"] = json!({"oneOf": [filters(&description, true), {"type": "null"}]});
    schemas["WebhookFilters"] = filters(&description, false);
    schemas["WebhookRequest"] = request;
    schemas["WebhookPatch"] = patch;
}

/// The filters as a schema; in a patch, null takes one away.
pub(crate) fn filters(description: &Value, nullable: bool) -> Value {
    let known = PLUGIN_LIST.iter().filter(|parameter| filter_text::NAMES.contains(&parameter.name));
    let described = |parameter: &Parameter| (parameter.name.to_owned(), filter(parameter, nullable));
    let properties: Map<String, Value> = known.map(described).collect();
    let label = parameter_of("label.").map(|parameter| filter(parameter, nullable)).unwrap_or_default();
    json!({
        "type": "object", "description": description, "properties": properties,
        "patternProperties": {"^label\\..": label}, "additionalProperties": false,
    })
}

fn parameter_of(name: &str) -> Option<&'static Parameter> {
    PLUGIN_LIST.iter().find(|parameter| parameter.name == name)
}

/// One value, or an array of values any of which will do.
fn filter(parameter: &Parameter, nullable: bool) -> Value {
    let one = match parameter.values {
        Values::Flag => json!({"enum": [true, false, "true", "false"]}),
        Values::Names(names) => json!({"enum": names}),
        Values::Pids => json!({"anyOf": [
            {"type": "integer", "minimum": 1, "maximum": u32::MAX}, {"type": "string", "pattern": "^[0-9]+$"},
        ]}),
        Values::Time => json!({"type": "string", "format": "date-time"}),
        _ => json!({"type": ["string", "number", "boolean"]}),
    };
    let most = if matches!(parameter.values, Values::Time) { Some(1) } else { None };
    let mut several = json!({"type": "array", "items": one, "minItems": 1});
    if let Some(most) = most {
        several["maxItems"] = most.into();
    }
    let mut either = vec![one, several];
    if nullable {
        either.push(json!({"type": "null"}));
    }
    json!({"oneOf": either, "description": parameter.help})
}
