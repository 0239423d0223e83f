//! `/healthz` and `/readyz`: for those who watch over the service.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::http::extract::principal::RequestPrincipal;
use crate::http::extract::snapshot::Now;
use crate::http::middleware::consistency::not_read;
use crate::http::problem::Problem;
use crate::http::reply::json;
use crate::http::state::Shared;
use crate::liveness::visibility::Point;
use crate::registry::health::WriterHealth;
use domain::Revision;

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: otherwise there would be no answer.
    #[schema(examples("ok"))]
    status: &'static str,
}

/// What the service can do at the moment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, or `read_only` while the store cannot be written: reads go on.
    #[schema(examples("ready"))]
    status: &'static str,
    /// The rest, for those who may read.
    #[serde(flatten)]
    details: Option<Details>,
}

/// More of what the service can do at the moment: absent where tokens are configured and the request has none.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadinessDetails)]
pub(crate) struct Details {
    /// The version of the program.
    version: &'static str,
    /// The newest revision.
    #[schema(value_type = u64)]
    revision: Revision,
    /// How many plugins there are.
    plugins: usize,
    /// Why the store cannot be written.
    #[schema(required)]
    reason: Option<&'static str>,
    /// Since when it cannot.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    since: Option<Timestamp>,
    /// For how many seconds this process has not known whether that revision is the newest.
    age_seconds: u64,
    /// What the registry can see of its own host, and what to do about what it cannot; empty when it does not look.
    sight: Vec<Point>,
}

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = OK, description = "It is", body = Health)))]
pub(crate) async fn read_health() -> Response {
    json::json(&Health { status: "ok" })
}

/// Can it serve?
///
/// 200 as long as reads are answered, also while the store cannot be written; the body tells which. 503 until the store
/// has been read. Where tokens are configured, a request without one gets the `status` alone.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = OK, description = "It can", body = Readiness),
    (status = SERVICE_UNAVAILABLE, description = "The store has not been read yet"),
))]
pub(crate) async fn read_readiness(
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    now: Now,
) -> Result<Response, Problem> {
    let (status, reason, since) = match api.registry.health() {
        WriterHealth::Writable => ("ready", None, None),
        WriterHealth::Failing { reason, since } => ("read_only", Some(reason), Some(since)),
        WriterHealth::Starting { .. } => return Err(not_read(&api)),
    };
    let details = || Details {
        version: env!("CARGO_PKG_VERSION"),
        revision: now.state.revision(),
        plugins: now.state.plugins().size(),
        reason,
        since,
        age_seconds: api.registry.freshness().age(Instant::now()).as_secs(),
        sight: api.sight.points().to_vec(),
    };
    Ok(json::json(&Readiness { status, details: (!principal.is_anonymous()).then(details) }))
}
