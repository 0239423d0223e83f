//! `/budgets`: limits of costs, and how much of them is spent.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::costs::Range;
use crate::clock::new_identity;
use crate::http::extract::body::{JsonBody, PatchBody};
use crate::http::extract::path::BudgetPath;
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::extract::write::Write;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::{Api, Shared};
use crate::registry::fair_pool::Turn;
use domain::command::{Command, Outcome, Refusal};
use domain::cost::{Account, Budget, Period};
use domain::query::{Filters, Pace, Unpaced};
use domain::{MicroUsd, Revision};

/// A budget, and how much of it is spent.
#[derive(Serialize, ToSchema)]
#[schema(as = Budget)]
pub(crate) struct BudgetDocument<'a> {
    /// The id of the budget.
    id: &'a str,
    /// The display name.
    name: &'a str,
    /// The budget counts the costs of plugins that match these filters while the costs arise.
    #[schema(value_type = Object)]
    filters: &'a Filters,
    /// The limit for a period, in USD.
    #[schema(value_type = f64)]
    limit_usd: MicroUsd,
    /// The limit for the cost of an hour, in USD; null if the budget has none.
    #[schema(value_type = Option<f64>, required)]
    limit_usd_per_hour: Option<MicroUsd>,
    /// The length of a period, in UTC.
    period: Period,
    /// The percentages of the limit at which the registry emits an event.
    threshold_percent: &'a [u32],
    /// Costs before this time do not count. This is the time of creation, or of the last change of `filters` or
    /// `period`.
    #[schema(value_type = String, format = DateTime)]
    counted_from: Timestamp,
    /// When the current period began; null for `total`.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    period_start: Option<Timestamp>,
    /// When the current period ends; null for `total`.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    period_end: Option<Timestamp>,
    /// The costs in the current period.
    spent: Range,
    /// The upper bound of the costs, in percent of the limit, rounded down.
    #[schema(value_type = u64)]
    spent_percent: u128,
    /// The current cost of an hour, in USD.
    #[schema(value_type = f64)]
    burn_usd_per_hour: MicroUsd,
    /// Whether an hour now costs more than `limit_usd_per_hour`.
    over_limit_per_hour: bool,
    /// When the costs reach the limit if an hour goes on to cost this much; null if they do not within the current period, or
    /// have reached it already.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    projected_breach_at: Option<Timestamp>,
    /// The thresholds that the costs have reached in the current period.
    reached_percent: &'a [u32],
    /// The revision of the last change by a client.
    #[schema(value_type = u64)]
    revision: Revision,
    /// When the budget was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When a client last changed the budget.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A list of all budgets.
#[derive(Serialize, ToSchema)]
pub(crate) struct BudgetList<'a> {
    /// The budgets, the oldest first.
    items: Vec<BudgetDocument<'a>>,
    /// The revision that the list was made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

impl<'a> BudgetDocument<'a> {
    fn of<P: Pace>(
        state: &domain::state::State,
        id: &'a str,
        account: &'a Account,
        now: Timestamp,
        pace: &P,
    ) -> Result<BudgetDocument<'a>, P::Stop> {
        let Budget { name, filters, limit, limit_per_hour, period, thresholds } = &account.budget;
        let (spent, burn) = state.spent_and_burn(account, now, pace)?;
        Ok(BudgetDocument {
            id,
            name: name.as_str(),
            filters,
            limit_usd: *limit,
            limit_usd_per_hour: *limit_per_hour,
            period: *period,
            threshold_percent: thresholds,
            counted_from: account.counted_from,
            period_start: period.start(now),
            period_end: period.end(now),
            spent: spent.into(),
            // A budget's limit is always greater than zero.
            spent_percent: (spent.high.0.unsigned_abs() * 100).checked_div(limit.0.unsigned_abs()).unwrap_or_default(),
            burn_usd_per_hour: burn,
            over_limit_per_hour: account.is_over_per_hour(burn),
            projected_breach_at: account.projected_breach(spent, burn, now),
            reached_percent: account.reached(now),
            revision: account.revision,
            created_at: account.created_at,
            updated_at: account.updated_at,
        })
    }
}

/// Create a budget.
///
/// When the costs of a period reach a threshold, the registry emits the event `budget.threshold_reached`. When they will
/// reach the limit within the period if an hour goes on to cost this much, it emits `budget.breach_projected`, once a
/// period; without periods, when the limit is at most 30 days away. When an hour costs more than `limit_usd_per_hour`, it
/// emits `budget.burn_exceeded`, and `budget.burn_recovered` when an hour costs at most that much again. Watchers and
/// webhooks without filters receive these events.
#[utoipa::path(post, path = "/budgets", tag = "costs", responses(
    (status = CREATED, description = "The budget", body = BudgetDocument, headers(("Location" = String, description = "Its path"))),
    (status = CONFLICT, description = "The registry has the maximum number of budgets"),
))]
pub(crate) async fn create_budget(
    State(api): State<Shared>,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let budget = Box::new(Budget::read(body)?);
    let id: Box<str> = new_identity().simple().to_string().into();
    let command = Command::MakeBudget { id: id.clone(), budget };
    let make = move |outcome: &Outcome| {
        let mut response = (StatusCode::CREATED, standing(&api, outcome, &id)).into_response();
        if let Ok(location) = HeaderValue::from_str(&format!("/budgets/{id}")) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    };
    write.run_for(command, make).await
}

/// List the budgets.
#[utoipa::path(get, path = "/budgets", tag = "costs", responses(
    (status = OK, description = "The budgets", body = BudgetList),
))]
pub(crate) async fn list_budgets(
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    now: Now,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let at = api.registry.now();
    // Each budget visits all billable plugins.
    let list = move |turn: &Turn<'_>| {
        let mut accounts: Vec<_> = now.state.ledger().budgets().iter().collect();
        accounts.sort_by_key(|(_, account)| account.created_at);
        let documents = accounts.into_iter().map(|(id, account)| BudgetDocument::of(&now.state, id, account, at, turn));
        let items = documents.collect::<Result<_, _>>()?;
        Ok(json::text_of(&BudgetList { items, revision: now.state.revision() }))
    };
    Ok(json::json_bytes(api.registry.scans().run(caller, list).await?))
}

/// Read a budget.
#[utoipa::path(get, path = "/budgets/{budget_id}", tag = "costs", responses(
    (status = OK, description = "The budget", body = BudgetDocument),
    (status = NOT_FOUND, description = "No budget has this id"),
))]
pub(crate) async fn read_budget(
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    now: Now,
    BudgetPath(id): BudgetPath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let account = now.state.ledger().budgets().get(&id).ok_or_else(|| Refusal::NoBudget(id.clone()))?;
    let (account, at) = (Arc::clone(account), api.registry.now());
    let read = move |turn: &Turn<'_>| Ok(json::text_of(&BudgetDocument::of(&now.state, &id, &account, at, turn)?));
    Ok(json::json_bytes(api.registry.scans().run(caller, read).await?))
}

/// Change some fields of a budget.
///
/// The body is a JSON Merge Patch (RFC 7396): null clears a field, and absent fields keep their values. A change of
/// `filters` or `period` restarts the count of costs. A change of `limit_usd` lets the budget emit its thresholds and its
/// projection again, and a change of `limit_usd_per_hour` lets it emit `budget.burn_exceeded` again.
#[utoipa::path(patch, path = "/budgets/{budget_id}", tag = "costs",
    responses(
        (status = OK, description = "The budget after the change", body = BudgetDocument),
        (status = NOT_FOUND, description = "No budget has this id"),
))]
pub(crate) async fn patch_budget(
    State(api): State<Shared>,
    BudgetPath(id): BudgetPath,
    write: Write,
    PatchBody(patch): PatchBody,
) -> Result<Response, Problem> {
    let command = Command::PatchBudget { id: id.clone(), patch };
    write.run_for(command, move |outcome| standing(&api, outcome, &id)).await
}

/// Remove a budget.
#[utoipa::path(delete, path = "/budgets/{budget_id}", tag = "costs", responses(
    (status = NO_CONTENT, description = "The budget was removed"),
    (status = NOT_FOUND, description = "No budget has this id"),
))]
pub(crate) async fn remove_budget(BudgetPath(id): BudgetPath, write: Write) -> Result<Response, Problem> {
    write.run_for(Command::RemoveBudget { id }, |_| StatusCode::NO_CONTENT.into_response()).await
}

/// The reply with a budget after a command.
fn standing(api: &Api, outcome: &Outcome, id: &str) -> Response {
    let document = outcome.state.as_ref().and_then(|state| {
        let account = state.ledger().budgets().get(id)?;
        let Ok(budget) = BudgetDocument::of(state, id, account, api.registry.now(), &Unpaced);
        Some(json::json(&budget))
    });
    document.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response())
}
