//! `/stats`: how many plugins there are, by what they are.

use axum::extract::State;
use axum::response::Response;

use super::context::Now;
use super::params::Params;
use super::problem::Problem;
use super::reply;
use super::router::Shared;
use super::view::View;
use domain::command::Precondition;
use domain::query::Stats;
use domain::query::interest::Counts;

/// Count plugins.
#[utoipa::path(get, path = "/stats", tag = "service", responses(
    (status = OK, description = "The counts", body = Stats),
    (status = NOT_MODIFIED, description = "Nothing has changed since the given tag"),
))]
pub(super) async fn read_stats(
    now: Now,
    State(api): State<Shared>,
    mut params: Params,
    precondition: Precondition,
) -> Result<Response, Problem> {
    let view = View::take(&mut params)?;
    params.only(&[])?;
    let seen = view.of(&api, now.0, &Counts).await?;
    let stats = || reply::json(&Stats::of(&seen.snapshot.state));
    Ok(seen.answer(reply::of_snapshot(&seen.snapshot, &precondition, stats)?))
}
