//! `/metrics`: what is counted, for Prometheus: as OpenMetrics 1.0 text, or in Prometheus' older text format.
//!
//! Names and units follow <https://prometheus.io/docs/practices/naming/>. No label has a value that a client can choose:
//! how many series there are does not depend on what is sent.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, VARY};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry as Metrics, Unit};

use crate::http::extract::negotiate::prefers;
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
/// OpenMetrics 1.0 text, for Prometheus; its older text format for those who accept nothing else.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = OK, description = "The metrics", content(
        (String = "application/openmetrics-text"),
        (String = "text/plain"),
    )),
    (status = NOT_FOUND, description = "They have an address of their own (`--metrics-listen`)"),
))]
pub(crate) async fn read_metrics(
    State(api): State<Shared>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    params.only(&[])?;
    if api.offer == Exposure::AllButMetrics {
        return Err(Problem::new(Kind::NotFound, "the metrics have an address of their own here (--metrics-listen)"));
    }
    let mut text = String::new();
    encode(&mut text, &gathered(&api)).map_err(|_| Problem::new(Kind::Internal, "the metrics could not be written"))?;
    let is_classic = prefers(&headers, &[OPEN_METRICS, PLAIN_TEXT], PLAIN_TEXT);
    let (media_type, text) =
        if is_classic { (CLASSIC_TEXT, prometheus_text::of(&text)) } else { (OPEN_METRICS_1, text) };
    Ok(([(CONTENT_TYPE, media_type), (VARY, "accept")], text).into_response())
}

/// All that is counted, timed, and stands.
fn gathered(api: &Shared) -> Metrics {
    let mut all = Metrics::default();
    // Under the names that all programs give them, and dashboards look for.
    all.register_collector(Box::new(Process));
    let metrics = all.sub_registry_with_prefix("plugin_registry");
    metrics.register("build", "The version of the program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    metrics.register_collector(Box::new(api.requests.clone()));
    register_commits(metrics, api);
    register_looks(metrics, api);
    let help = "Time for an attempt to deliver to a webhook";
    metrics.register_with_unit("webhook_attempt_duration", help, Unit::Seconds, api.webhooks.measures().time.clone());
    metrics.register_collector(Box::new(Gauges::new(api)));
    all
}

/// What the writer counts.
fn register_commits(metrics: &mut Metrics, api: &Api) {
    let writer = api.registry.measures();
    metrics.register("commits", "Batches that were made durable", writer.commits.clone());
    metrics.register("commits_failed", "Batches that could not be made durable", writer.failed_commits.clone());
    metrics.register("commit_commands", "Commands in a batch", writer.batch.clone());
    let help = "Time from taking the store's lock until a batch was durable";
    metrics.register_with_unit("commit_duration", help, Unit::Seconds, writer.commit_time.clone());
    metrics.register("commit_queue", "Commands that wait for the writer", writer.queue.clone());
}

/// What those count who look what is there.
fn register_looks(metrics: &mut Metrics, api: &Api) {
    let help = "Sightings of resources that probes and agents have reported here, by what was seen";
    metrics.register("sightings", help, api.registry.measures().sightings.clone());
    let help = "Time for one look of this process at everything that it is to look at";
    metrics.register_with_unit("probe_duration", help, Unit::Seconds, api.sight.passes().durations().clone());
}
