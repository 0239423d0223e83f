//! `/stats`: how many plugins there are, by what they are.

use axum::response::Response;

use super::context::Now;
use super::params::Params;
use super::problem::Problem;
use super::reply;
use crate::registry::Precondition;
use crate::registry::stats::Stats;

/// Count plugins.
#[utoipa::path(get, path = "/stats", tag = "service", responses(
    (status = OK, description = "The counts", body = Stats),
    (status = NOT_MODIFIED, description = "Nothing has changed since the given tag"),
))]
pub(super) async fn read_stats(now: Now, params: Params, precondition: Precondition) -> Result<Response, Problem> {
    params.only(&[])?;
    reply::of_snapshot(&now, &precondition, || reply::json(&Stats::of(&now.state)))
}
