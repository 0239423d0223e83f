//! `/healthz` and `/readyz`: probes for orchestrators and load balancers.

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

/// The liveness of the process.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: a dead process does not reply.
    #[schema(examples("ok"))]
    status: &'static str,
}

/// The readiness of the service.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, or `read_only` while the store rejects writes; reads continue.
    #[schema(examples("ready"))]
    status: &'static str,
    /// Details for callers with the permission to read.
    #[serde(flatten)]
    details: Option<Details>,
}

/// Details of the readiness. Absent if tokens are configured and the request has none.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadinessDetails)]
pub(crate) struct Details {
    /// The version of the service.
    version: &'static str,
    /// The newest revision.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The number of plugins.
    plugins: usize,
    /// Why the store rejects writes.
    #[schema(required)]
    reason: Option<&'static str>,
    /// Since when the store rejects writes.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    since: Option<Timestamp>,
    /// For how many seconds this process has not confirmed that the revision is the newest.
    age_seconds: u64,
    /// Whether the clock of this process was set, or was that of another.
    clock: ClockDetails,
    /// What the registry can see of its host, and how the operator can extend the visibility. Empty if the registry
    /// does not probe its host.
    sight: Vec<Point>,
}

/// What the process knows about its clock.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClockDetails {
    /// By how many seconds the wall clock was last set while the process ran; negative if it was set back. Null if it
    /// was not.
    #[schema(required)]
    last_jump_seconds: Option<f64>,
    /// When that was, as the clock is set now.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_jump_at: Option<Timestamp>,
    /// How many seconds the newest change lies in the future, if that is more than clocks of replicas may be apart;
    /// else 0. Then a clock was wrong when the change was made, or this one is wrong.
    head_ahead_seconds: f64,
}

impl ClockDetails {
    fn of(api: &Shared, now: &Now) -> ClockDetails {
        let clocks = api.registry.clocks();
        clocks.look();
        let jump = clocks.last_jump();
        ClockDetails {
            last_jump_seconds: jump.map(|jump| jump.by.as_secs_f64()),
            last_jump_at: jump.map(|jump| clocks.wall_of(jump.noticed)),
            head_ahead_seconds: clocks.lead_of(now.state.at()).map_or(0.0, |lead| lead.as_secs_f64()),
        }
    }
}

/// Check that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = OK, description = "The process is alive", body = Health)))]
pub(crate) async fn read_health() -> Response {
    json::json(&Health { status: "ok" })
}

/// Check that the service is ready.
///
/// Replies 200 as long as the service answers reads, also while the store rejects writes; the body has the status.
/// Replies 503 until the service has read the store. If tokens are configured, requests without a token receive only
/// `status`.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = OK, description = "The service is ready", body = Readiness),
    (status = SERVICE_UNAVAILABLE, description = "The service has not read its store yet"),
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
        clock: ClockDetails::of(&api, &now),
        sight: api.sight.points().to_vec(),
    };
    Ok(json::json(&Readiness { status, details: (!principal.is_anonymous()).then(details) }))
}
