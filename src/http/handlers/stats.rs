//! `/stats`: counts of plugins.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::query::read_options::ReadOptions;
use crate::http::reply::json;
use crate::http::state::{LONG_SCAN, Shared};
use domain::command::Precondition;
use domain::query::Stats;
use domain::query::interest::CountsInterest;

/// Count plugins.
#[utoipa::path(get, path = "/stats", tag = "service", responses(
    (status = OK, description = "The counts", body = Stats),
    (status = NOT_MODIFIED, description = "Nothing has changed since the given tag"),
))]
pub(crate) async fn read_stats(
    now: Now,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    mut params: Params,
    precondition: Precondition,
) -> Result<Response, Problem> {
    let view = ReadOptions::take(&mut params)?;
    params.only(&[])?;
    let seen = view.of(&api, now.0, &CountsInterest, &caller).await?;
    let snapshot = Arc::clone(&seen.snapshot);
    let is_long = snapshot.state.indexes().categories().nth(LONG_SCAN).is_some();
    let count = move || json::text_of(&Stats::of(&snapshot.state));
    let text = if is_long { api.registry.scans().run(caller, move |_| Ok(count())).await? } else { count() };
    Ok(seen.answer(json::of_snapshot(&seen.snapshot, &precondition, || json::json_bytes(text))?))
}
