//! `/costs` as tables: for spreadsheets, and for tools that read FOCUS.
//!
//! FOCUS is the FinOps Open Cost and Usage Specification. The registry fills the columns that it knows; amounts are
//! estimates by declared prices, which the column `x_IsEstimate` says.

use bytes::Bytes;
use hyper::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::extract::negotiate::chosen;
use crate::http::media_type::{CSV, JSON};
use crate::http::problem::Problem;
use crate::http::query::list_params::named;
use crate::http::query::params::Params;
use crate::http::reply::csv;
use domain::Spend;
use domain::cost::statement::ChargedResource;
use domain::cost::{Statement, StatementLine};

/// The form of a reply about costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CostForm {
    /// A JSON document.
    Json,
    /// A table of steps or groups.
    Table,
    /// Charges in the columns of FOCUS.
    Focus,
}

impl CostForm {
    /// The form that a request asks for.
    ///
    /// # Errors
    ///
    /// 400 for an unknown `format`.
    pub fn of(params: &Params, headers: &HeaderMap) -> Result<CostForm, Problem> {
        let focus = |name: &str| named("format", name, &["focus"], |_| Some(CostForm::Focus));
        if let Some(form) = params.single("format")?.map(focus).transpose()? {
            return Ok(form);
        }
        let is_table = chosen(headers, &[JSON, CSV]) == CSV;
        Ok(if is_table { CostForm::Table } else { CostForm::Json })
    }
}

/// A row for each step of each group; without steps, a row for each group, or for the sum.
pub(super) fn table(statement: &Statement, known_from: Option<Timestamp>) -> Bytes {
    if statement.series.steps().is_some() {
        let columns = ["from", "to", "group", "low_usd", "high_usd", "burn_usd_per_hour"];
        let row = |step: Step<'_>| {
            json!({
                "from": step.from, "to": step.to, "group": step.group, "low_usd": step.spent.low, "high_usd": step.spent.high,
                "burn_usd_per_hour": step.spent.high.per_hour(step.from, step.to),
            })
        };
        return csv::table(&columns, steps(statement, known_from).map(row));
    }
    let columns = ["group", "burn_usd_per_hour", "billable", "unpriced", "estimated_usd", "low_usd", "high_usd"];
    let row = |group: &Option<String>, line: &StatementLine| {
        json!({
            "group": group, "burn_usd_per_hour": line.burn, "billable": line.billable, "unpriced": line.unpriced,
            "estimated_usd": line.estimate, "low_usd": line.accrued.low, "high_usd": line.accrued.high,
        })
    };
    let sum = (!statement.is_grouped).then(|| row(&None, &statement.total()));
    csv::table(&columns, statement.groups().map(|(group, line)| row(group, line)).chain(sum))
}

/// A step of a group.
struct Step<'a> {
    group: &'a Option<String>,
    from: Timestamp,
    to: Timestamp,
    spent: Spend,
}

/// The steps of all groups, from `known_from` on.
fn steps(statement: &Statement, known_from: Option<Timestamp>) -> impl Iterator<Item = Step<'_>> {
    let steps = statement.series.steps();
    statement.series.lines().flat_map(move |(group, line)| {
        line.iter().enumerate().filter_map(move |(index, spent)| {
            let (from, to) = steps?.span(index);
            let is_known = known_from.is_none_or(|known| from >= known);
            is_known.then_some(Step { group, from, to, spent: *spent })
        })
    })
}

/// The columns of FOCUS 1.2 that the registry can fill, and two of its own.
const FOCUS: &[&str] = &[
    "BilledCost",
    "BillingCurrency",
    "ChargeCategory",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ProviderName",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SubAccountId",
    "Tags",
    "x_IsEstimate",
    "x_BilledCostLow",
];

/// A row for each resource and step with costs.
pub(super) fn focus(statement: &Statement, known_from: Option<Timestamp>) -> Bytes {
    let row = |step: Step<'_>| -> Option<Value> {
        let resource = ChargedResource::from_text(step.group.as_deref()?)?;
        (!step.spent.is_nothing()).then(|| charge(&resource, &step))
    };
    csv::table(FOCUS, steps(statement, known_from).filter_map(row))
}

fn charge(resource: &ChargedResource, step: &Step<'_>) -> Value {
    json!({
        "BilledCost": step.spent.high,
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeDescription": format!("{} held by {}, by its declared price", resource.id, resource.plugin),
        "ChargePeriodStart": step.from,
        "ChargePeriodEnd": step.to,
        "ProviderName": resource.provider,
        "RegionId": resource.region,
        "ResourceId": resource.id,
        "ResourceName": resource.title,
        "ResourceType": resource.resource_type.as_ref().or(resource.gpu_type.as_ref()),
        "SubAccountId": resource.category,
        "Tags": serde_json::to_string(&resource.labels).unwrap_or_default(),
        "x_IsEstimate": true,
        "x_BilledCostLow": step.spent.low,
    })
}
