//! The filters of `GET /plugins` as a document: webhooks and budgets have them.

use serde_json::{Map, Value, json};

use crate::http::query::list_params::PLUGIN_LIST;
use crate::http::query::parameter::{Parameter, Values};
use domain::plugin::{ExecutionMode, Provider};
use domain::query::filter_text;
use domain::record::FindingKind;

/// What filters are.
const HELP: &str = "The filters of `GET /plugins`: all must hold; of several values, any will do. Beside those that are \
                    named here there is `label.<key>`.";

/// Adds the schemas of filters, and of their merge patch.
pub(crate) fn complete(schemas: &mut Value) {
    schemas["PluginFilters"] = filters(HELP, false);
    schemas["PluginFiltersPatch"] = filters("A merge patch of filters: null takes one away.", true);
    let what = schemas["Webhook"]["properties"]["filters"]["description"].take();
    schemas["Webhook"]["properties"]["filters"] = json!({"$ref": FILTERS, "description": what});
    let what = schemas["Budget"]["properties"]["filters"]["description"].take();
    schemas["Budget"]["properties"]["filters"] = json!({"$ref": FILTERS, "description": what});
}

const FILTERS: &str = "#/components/schemas/PluginFilters";

/// The filters as a schema; in a patch, null takes one away.
///
/// Labels are the additional properties: generators know these, and few know `patternProperties`.
fn filters(help: &str, is_patch: bool) -> Value {
    let known = PLUGIN_LIST.iter().filter(|parameter| filter_text::NAMES.contains(&parameter.name));
    let properties: Map<_, _> =
        known.map(|parameter| (parameter.name.to_owned(), filter(parameter, is_patch))).collect();
    let label = PLUGIN_LIST.iter().find(|parameter| parameter.name == "label.");
    json!({
        "type": "object", "description": help, "properties": properties,
        "propertyNames": {"anyOf": [{"enum": filter_text::NAMES}, {"pattern": r"^label\.."}]},
        "additionalProperties": label.map(|parameter| filter(parameter, is_patch)).unwrap_or_default(),
    })
}

/// One value, or an array of values any of which will do.
fn filter(parameter: &Parameter, is_patch: bool) -> Value {
    let mut either = match parameter.values {
        Values::Flag => vec![json!({"type": "boolean"}), json!({"type": "string", "pattern": "^(true|false)$"})],
        Values::Names(names) => vec![one_of(names)],
        Values::Pids => vec![
            json!({"type": "integer", "minimum": 1, "maximum": u32::MAX}),
            json!({"type": "string", "pattern": "^[0-9]+$"}),
        ],
        Values::Time => vec![json!({"type": "string", "format": "date-time"})],
        _ => vec![json!({"type": "string"}), json!({"type": "number"}), json!({"type": "boolean"})],
    };
    let items = match either.as_slice() {
        [one] => one.clone(),
        several => json!({"anyOf": several}),
    };
    let mut several = json!({"type": "array", "items": items, "minItems": 1});
    if matches!(parameter.values, Values::Time) {
        several["maxItems"] = 1.into();
    }
    either.push(several);
    if is_patch {
        either.push(json!({"type": "null"}));
    }
    json!({"anyOf": either, "description": parameter.help})
}

/// One of these names: the type that has them, where there is one.
fn one_of(names: &[&str]) -> Value {
    let types =
        [(ExecutionMode::NAMES, "ExecutionMode"), (Provider::NAMES, "Provider"), (FindingKind::NAMES, "FindingKind")];
    match types.into_iter().find(|(known, _)| *known == names) {
        Some((_, name)) => json!({"$ref": format!("#/components/schemas/{name}")}),
        None => json!({"type": "string", "enum": names}),
    }
}
