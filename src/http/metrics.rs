//! `/metrics`: what is counted, for Prometheus (OpenMetrics 1.0 text).
//!
//! Names and units follow <https://prometheus.io/docs/practices/naming/>. No label has a value that a client can choose:
//! how many series there are does not depend on what is sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry as Metrics, Unit};
use tokio::time::Instant;

use super::params::Params;
use super::problem::{Kind, Problem};
use super::process;
use super::router::Api;
use crate::registry::stats::Stats;
use crate::registry::{Snapshot, WriterHealth};

/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The requests that were answered. Cloning shares the counters.
#[derive(Debug, Clone)]
pub struct Requests {
    answered: Family<Answered, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: Arc<str>,
}

impl Default for Requests {
    fn default() -> Requests {
        // 0.1 ms to 26 s.
        let buckets = || Histogram::new(exponential_buckets(0.000_1, 4.0, 10));
        Requests { answered: Family::default(), durations: Family::new_with_constructor(buckets) }
    }
}

impl Requests {
    /// Counts an answer. `route` is one of ours, and not the path.
    pub fn count(&self, method: &Method, route: &str, status: StatusCode, duration: Duration) {
        let (method, route) = (known(method), Arc::<str>::from(route));
        let asked = Asked { method, route: Arc::clone(&route) };
        self.durations.get_or_create(&asked).observe(duration.as_secs_f64());
        self.answered.get_or_create(&Answered { method, route, status: status.as_u16() }).inc();
    }
}

/// The name of a method that this service knows; a client can make up others without end.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Read the metrics.
///
/// OpenMetrics 1.0 text, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = OK, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
))]
pub(super) async fn read_metrics(State(api): State<Api>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let mut metrics = Metrics::with_prefix("plugin_registry");
    let requests = &api.requests;
    metrics.register("http_requests", "Requests that were answered", requests.answered.clone());
    let help = "Time until the answer began";
    metrics.register_with_unit("http_request_duration", help, Unit::Seconds, requests.durations.clone());
    let writer = api.registry.measures();
    metrics.register("commits", "Batches that were made durable", writer.commits.clone());
    metrics.register("commits_failed", "Batches that could not be made durable", writer.failed_commits.clone());
    metrics.register("commit_commands", "Commands in a batch", writer.batch.clone());
    let help = "Time from taking the store's lock until a batch was durable";
    metrics.register_with_unit("commit_duration", help, Unit::Seconds, writer.commit_time.clone());
    metrics.register("commit_queue", "Commands that wait for the writer", writer.queue.clone());
    metrics.register_collector(Box::new(Now { snapshot: api.registry.snapshot(), api: api.clone() }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &metrics)
        .map_err(|_| Problem::new(Kind::Internal, "the metrics could not be written"))?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

/// What stands at the moment of the request.
struct Now {
    snapshot: Arc<Snapshot>,
    api: Api,
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Now").finish_non_exhaustive()
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = Stats::of(&self.snapshot.state);
        let mut gauge = |name: &str, help: &str, value: f64| {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        #[expect(clippy::cast_precision_loss, reason = "revisions and counts are far below 2^53")]
        {
            gauge("revision", "The newest revision", stats.revision.0 as f64)?;
            gauge("plugins_active", "Plugins that hold something that runs", stats.with_active_resources as f64)?;
            gauge("plugins_configured", "Plugins that are ready for use", stats.configured as f64)?;
            gauge("watchers", "Live streams and long polls", self.api.registry.topics().followers() as f64)?;
        }
        let is_writable = self.api.registry.health() == WriterHealth::Writable;
        gauge("store_writable", "1 if changes can be written, else 0", f64::from(u8::from(is_writable)))?;
        let age = self.api.registry.freshness().age(Instant::now()).as_secs_f64();
        gauge("snapshot_age_seconds", "For how long it is not known whether the revision is the newest", age)?;
        let help = "Plugins by where they do their work";
        let mut modes = encoder.encode_descriptor("plugins", help, None, MetricType::Gauge)?;
        for (mode, count) in &stats.by_execution_mode {
            let count = ConstGauge::new(i64::try_from(*count).unwrap_or(i64::MAX));
            count.encode(modes.encode_family(&[("execution_mode", *mode)])?)?;
        }
        let help = "1, with the version of the program";
        let mut build = encoder.encode_descriptor("build", help, None, MetricType::Gauge)?;
        ConstGauge::new(1_i64).encode(build.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)?;
        encode_process(&mut encoder)
    }
}

/// What this process takes.
fn encode_process(encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    // Where there is no /proc, nothing is told of it.
    let Some(usage) = process::usage() else { return Ok(()) };
    let cpu = encoder.encode_descriptor(
        "process_cpu",
        "Processor time that was taken",
        Some(&Unit::Seconds),
        MetricType::Counter,
    )?;
    ConstCounter::new(usage.cpu_seconds).encode(cpu)?;
    let help = "Memory that is in use";
    let memory = encoder.encode_descriptor("process_resident_memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
    ConstGauge::new(usage.resident_bytes).encode(memory)?;
    let files = encoder.encode_descriptor("process_open_fds", "Files that are open", None, MetricType::Gauge)?;
    ConstGauge::new(usage.open_files).encode(files)
}
