//! The schemas of budgets: what can be sent, from the tables that the code itself uses.

use serde_json::{Value, json};
use utoipa::ToSchema;

use super::webhooks::filters;
use domain::cost::Period;
use domain::cost::budget::{MAX_LIMIT_USD, MAX_PERCENT, MAX_THRESHOLDS, READ_ONLY};
use domain::plugin::identity::MAX_NAME_CHARS;

/// A budget as it is sent.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct BudgetRequest(Value);

/// A merge patch (RFC 7396) of a budget: null clears, what is absent is kept.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct BudgetPatch(Value);

/// What the filters of a budget are.
const FILTERS: &str = "The filters of `GET /plugins`: all must hold; of several values, any will do. What a plugin costs \
                       counts while it fulfils them. Without any, all plugins count.";

/// Completes the schemas.
pub(crate) fn complete(schemas: &mut Value) {
    let described = |schemas: &Value, name: &str| schemas[name]["description"].clone();
    let filters = |nullable| filters(&FILTERS.into(), nullable);
    let mut request = json!({
        "type": "object", "description": described(schemas, "BudgetRequest"), "required": ["name", "limit_usd", "period"],
        "additionalProperties": false,
        "properties": {
            "name": {
                "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "examples": ["speech, monthly"],
                "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$",
                "description": "What people call it.",
            },
            "filters": filters(false),
            "limit_usd": {
                "type": "number", "minimum": 0.000_001, "maximum": MAX_LIMIT_USD,
                "description": "How much may be spent in a period, in USD; kept to the millionth.",
            },
            "period": {
                "type": "string", "enum": Period::NAMES,
                "description": "How long a period is, in UTC: weeks begin on Monday, `total` has no end.",
            },
            "threshold_percent": {
                "type": "array", "minItems": 1, "maxItems": MAX_THRESHOLDS,
                "items": {"type": "integer", "minimum": 1, "maximum": MAX_PERCENT},
                "default": [50, 80, 100],
                "description": "At which percentages of the limit an event `budget.threshold_reached` is made, each once a period.",
            },
        },
    });
    for field in READ_ONLY {
        request["properties"][field] =
            json!({"description": "Accepted, so that a reply can be sent back, and ignored."});
    }
    let mut patch = request.clone();
    patch["description"] = described(schemas, "BudgetPatch");
    if let Some(patch) = patch.as_object_mut() {
        patch.remove("required");
    }
    let kept = patch["properties"]["threshold_percent"].take();
    patch["properties"]["threshold_percent"] = json!({"oneOf": [kept, {"type": "null"}]});
    patch["properties"]["filters"] = json!({"oneOf": [filters(true), {"type": "null"}]});
    schemas["BudgetRequest"] = request;
    schemas["BudgetPatch"] = patch;
    schemas["Budget"]["properties"]["filters"] = filters(false);
}
