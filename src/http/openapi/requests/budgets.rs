//! What is sent of budgets.

use serde_json::json;

use super::{PatchDocument, RequestDocument, reference};
use crate::http::openapi::schemas::NAME;
use domain::cost::budget::{Budget, DEFAULT_THRESHOLDS, FIELDS, MAX_LIMIT_USD, MAX_PERCENT, MAX_THRESHOLDS, READ_ONLY};
use domain::plugin::identity::MAX_NAME_CHARS;

/// What the filters of a budget are.
const FILTERS: &str =
    "On which plugins: what a plugin costs counts while it fulfils them. Without any, all plugins count.";

pub(super) const BUDGET: RequestDocument = RequestDocument {
    name: "BudgetRequest",
    help: "A budget as it is sent.",
    fields: FIELDS,
    ignored: READ_ONLY,
    required: &["name", "limit_usd", "period"],
    properties: || {
        json!({
            "name": {
                "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": NAME,
                "examples": ["speech, monthly"], "description": "What people call it.",
            },
            "filters": reference("PluginFilters", FILTERS),
            "limit_usd": {
                "type": "number", "minimum": 0.000_001, "maximum": MAX_LIMIT_USD,
                "description": "How much may be spent in a period, in USD; kept to the millionth.",
            },
            "limit_usd_per_hour": {
                "type": ["number", "null"], "minimum": 0.000_001, "maximum": MAX_LIMIT_USD,
                "description": "How much an hour may cost, in USD; kept to the millionth. Above it, an event \
                                `budget.burn_exceeded` is made; at or below it again, `budget.burn_recovered`.",
            },
            "period": reference("Period", "How long a period is, in UTC: weeks begin on Monday, `total` has no end."),
            "threshold_percent": {
                "type": "array", "minItems": 1, "maxItems": MAX_THRESHOLDS,
                "items": {"type": "integer", "minimum": 1, "maximum": MAX_PERCENT},
                "description": format!(
                    "At which percentages of the limit an event `budget.threshold_reached` is made, each once a period \
                     (default: {DEFAULT_THRESHOLDS:?})."
                ),
            },
        })
    },
    is_closed: true,
    read: |body| Budget::read(body).map(drop),
    patch: Some(PatchDocument {
        name: "BudgetPatch",
        help: "A merge patch (RFC 7396) of a budget: null clears, what is absent is kept.",
        kept: &[],
        properties: || json!({"filters": reference("PluginFiltersPatch", FILTERS)}),
    }),
};
