//! `/budgets`: how much may be spent, on what, and how much of that was spent.

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
use crate::http::extract::write::Write;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::{Api, Shared};
use domain::command::{Command, Outcome, Refusal};
use domain::cost::{Account, Budget, Period};
use domain::query::Filters;
use domain::{MicroUsd, Revision};

/// A budget, with what was spent.
#[derive(Serialize, ToSchema)]
#[schema(as = Budget)]
pub(crate) struct BudgetDocument<'a> {
    /// Names it.
    id: &'a str,
    /// What people call it.
    name: &'a str,
    /// On which plugins: those that fulfil these while they cost something.
    #[schema(value_type = Object)]
    filters: &'a Filters,
    /// How much may be spent in a period, in USD.
    #[schema(value_type = f64)]
    limit_usd: MicroUsd,
    /// How long a period is, in UTC.
    period: Period,
    /// At which percentages of the limit an event is made.
    threshold_percent: &'a [u32],
    /// What was spent before this does not count: when it was made, or what it is for was changed.
    #[schema(value_type = String, format = DateTime)]
    counted_from: Timestamp,
    /// When the present period began; null for `total`.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    period_start: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    period_end: Option<Timestamp>,
    /// What was spent in it.
    spent: Range,
    /// The most that may have been spent, in percent of the limit, rounded down.
    #[schema(value_type = u64)]
    spent_percent: u128,
    /// What an hour costs now, in USD.
    #[schema(value_type = f64)]
    burn_usd_per_hour: MicroUsd,
    /// The thresholds that were reached in the present period, and told of.
    reached_percent: &'a [u32],
    /// When its owner set it last.
    #[schema(value_type = u64)]
    revision: Revision,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its owner changed it last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Every budget.
#[derive(Serialize, ToSchema)]
pub(crate) struct BudgetList<'a> {
    /// The budgets, the oldest first.
    items: Vec<BudgetDocument<'a>>,
    /// The revision that the list was made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

impl<'a> BudgetDocument<'a> {
    fn of(state: &domain::state::State, id: &'a str, account: &'a Account, now: Timestamp) -> BudgetDocument<'a> {
        let Budget { name, filters, limit, period, thresholds } = &account.budget;
        let spent = state.spent(account, now);
        BudgetDocument {
            id,
            name: name.as_str(),
            filters,
            limit_usd: *limit,
            period: *period,
            threshold_percent: thresholds,
            counted_from: account.counted_from,
            period_start: period.start(now),
            period_end: period.end(now),
            spent: spent.into(),
            // A limit is never nothing.
            spent_percent: (spent.high.0.unsigned_abs() * 100).checked_div(limit.0.unsigned_abs()).unwrap_or_default(),
            burn_usd_per_hour: state.burn(account),
            reached_percent: account.reached(now),
            revision: account.revision,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

/// Make a budget.
///
/// When what was spent in a period reaches a threshold, an event `budget.threshold_reached` is made: watchers and
/// webhooks without filters are told.
#[utoipa::path(post, path = "/budgets", tag = "costs", responses(
    (status = CREATED, description = "The budget", body = BudgetDocument, headers(("Location" = String, description = "Its path"))),
    (status = CONFLICT, description = "There are as many budgets as there can be"),
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
pub(crate) async fn list_budgets(State(api): State<Shared>, now: Now, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let at = api.registry.now();
    let mut accounts: Vec<_> = now.state.ledger().budgets().iter().collect();
    accounts.sort_by_key(|(_, account)| account.created_at);
    let items = accounts.into_iter().map(|(id, account)| BudgetDocument::of(&now.state, id, account, at)).collect();
    Ok(json::json(&BudgetList { items, revision: now.state.revision() }))
}

/// Read one budget.
#[utoipa::path(get, path = "/budgets/{budget_id}", tag = "costs", responses(
    (status = OK, description = "The budget", body = BudgetDocument),
    (status = NOT_FOUND, description = "There is no such budget"),
))]
pub(crate) async fn read_budget(
    State(api): State<Shared>,
    now: Now,
    BudgetPath(id): BudgetPath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let account = now.state.ledger().budgets().get(&id).ok_or_else(|| Refusal::NoBudget(id.clone()))?;
    Ok(json::json(&BudgetDocument::of(&now.state, &id, account, api.registry.now())))
}

/// Change a part of a budget.
///
/// A JSON Merge Patch (RFC 7396): null clears, what is absent is kept. What was spent counts on, unless `filters` or
/// `period` are changed; with another `limit_usd`, thresholds are told of anew.
#[utoipa::path(patch, path = "/budgets/{budget_id}", tag = "costs",
    responses(
        (status = OK, description = "The budget after the change", body = BudgetDocument),
        (status = NOT_FOUND, description = "There is no such budget"),
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
    (status = NO_CONTENT, description = "It is no more"),
    (status = NOT_FOUND, description = "There is no such budget"),
))]
pub(crate) async fn remove_budget(BudgetPath(id): BudgetPath, write: Write) -> Result<Response, Problem> {
    write.run_for(Command::RemoveBudget { id }, |_| StatusCode::NO_CONTENT.into_response()).await
}

/// A budget after a command on it.
fn standing(api: &Api, outcome: &Outcome, id: &str) -> Response {
    let document = outcome.state.as_ref().and_then(|state| {
        let account = state.ledger().budgets().get(id)?;
        Some(json::json(&BudgetDocument::of(state, id, account, api.registry.now())))
    });
    document.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response())
}
