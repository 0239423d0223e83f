//! `/stats`: counts of plugins.

use axum::extract::State;
use axum::response::Response;

use crate::http::extract::snapshot::Now;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::query::read_options::ReadOptions;
use crate::http::reply::json;
use crate::http::state::Shared;
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
    mut params: Params,
    precondition: Precondition,
) -> Result<Response, Problem> {
    let view = ReadOptions::take(&mut params)?;
    params.only(&[])?;
    let seen = view.of(&api, now.0, &CountsInterest).await?;
    let stats = || json::json(&Stats::of(&seen.snapshot.state));
    Ok(seen.answer(json::of_snapshot(&seen.snapshot, &precondition, stats)?))
}
