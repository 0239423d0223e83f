//! `/metrics`: metrics for Prometheus, as OpenMetrics 1.0 text or in Prometheus' older text format.
//!
//! Names and units follow <https://prometheus.io/docs/practices/naming/>. Clients cannot choose the value of any label,
//! so the number of series stays bounded.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, VARY};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry as Metrics, Unit};

use crate::http::extract::negotiate::prefers;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::media_type::{OPEN_METRICS, PLAIN_TEXT};
use crate::http::metrics::gauges::Gauges;
use crate::http::metrics::process::Process;
use crate::http::metrics::prometheus_text;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::Params;
use crate::http::state::{Api, Exposure, Shared};

const OPEN_METRICS_1: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const CLASSIC_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Read the metrics.
///
/// The reply is OpenMetrics 1.0 text, or Prometheus' older text format for clients that accept no other format.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = OK, description = "The metrics", content(
        (String = "application/openmetrics-text"),
        (String = "text/plain"),
    )),
    (status = NOT_FOUND, description = "The metrics have a separate listener (`--metrics-listen`)"),
))]
pub(crate) async fn read_metrics(
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    params.only(&[])?;
    if api.offer == Exposure::AllButMetrics {
        return Err(Problem::new(
            Kind::NotFound,
            "the metrics have a separate listener; scrape the address of --metrics-listen",
        ));
    }
    let mut text = String::new();
    let gauges = Gauges::new(&api, caller).await?;
    encode(&mut text, &gathered(&api, gauges))
        .map_err(|_| Problem::new(Kind::Internal, "serialising the metrics failed"))?;
    let is_classic = prefers(&headers, &[OPEN_METRICS, PLAIN_TEXT], PLAIN_TEXT);
    let (media_type, text) =
        if is_classic { (CLASSIC_TEXT, prometheus_text::of(&text)) } else { (OPEN_METRICS_1, text) };
    Ok(([(CONTENT_TYPE, media_type), (VARY, "accept")], text).into_response())
}

/// Collects all metrics.
fn gathered(api: &Shared, gauges: Gauges) -> Metrics {
    let mut all = Metrics::default();
    // These metrics have no prefix, because dashboards expect the common names.
    all.register_collector(Box::new(Process));
    let metrics = all.sub_registry_with_prefix("plugin_registry");
    metrics.register("build", "The version of the service", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    metrics.register_collector(Box::new(api.requests.clone()));
    register_commits(metrics, api);
    register_looks(metrics, api);
    let help = "Duration of a webhook delivery attempt";
    metrics.register_with_unit("webhook_attempt_duration", help, Unit::Seconds, api.webhooks.measures().time.clone());
    metrics.register_collector(Box::new(gauges));
    all
}

/// Registers the writer's metrics.
fn register_commits(metrics: &mut Metrics, api: &Api) {
    let writer = api.registry.measures();
    metrics.register("commits", "Batches committed to the store", writer.commits.clone());
    metrics.register("commits_failed", "Batches that the store did not commit", writer.failed_commits.clone());
    metrics.register("commit_commands", "Commands in a batch", writer.batch.clone());
    let help = "Time from taking the store's lock until a batch was committed";
    metrics.register_with_unit("commit_duration", help, Unit::Seconds, writer.commit_time.clone());
    metrics.register("commit_queue", "Commands waiting for the writer", writer.queue.clone());
    let help = "Stored responses to requests with an Idempotency-Key, dropped because of --max-stored-responses";
    metrics.register("stored_responses_dropped", help, writer.dropped_answers.clone());
}

/// Registers the metrics of probes and agents.
fn register_looks(metrics: &mut Metrics, api: &Api) {
    let help = "Observations of resources by probes and agents, by observed state";
    metrics.register("sightings", help, api.registry.measures().sightings.clone());
    let help = "Settings of the wall clock that this process noticed";
    metrics.register("clock_jumps", help, api.registry.measures().clock_jumps.clone());
    let help = "Duration of a pass over all probes of this process";
    metrics.register_with_unit("probe_duration", help, Unit::Seconds, api.sight.passes().durations().clone());
}
