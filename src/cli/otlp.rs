//! The flags for traces, and the connection to their collector: OTLP over HTTP, in protobuf.
//!
//! OpenTelemetry's own environment variables set the rest, and its SDK reads them: `OTEL_TRACES_SAMPLER`,
//! `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and so on.

use std::env;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use opentelemetry_http::{HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use tracing::{debug, info};
use url::Url;

use crate::clock::new_identity;
use crate::net::{AddressPolicy, HttpClient};
use crate::telemetry::export::ExportSettings;
use crate::telemetry::{KeyValue, Origin, Traces};

/// The timeout of one attempt. `OTEL_EXPORTER_OTLP_TIMEOUT` is that of all attempts together.
const ATTEMPT_TIME: Duration = Duration::from_secs(10);

/// How long the process waits at its end for a collector that does not answer.
const LAST_WORD: Duration = Duration::from_secs(2);

/// The most bytes of a collector's response that are read.
const MAX_ANSWER: usize = 64 * 1024;

/// The export of traces.
#[derive(Debug, Clone, Default, Args)]
pub struct TraceArgs {
    /// Send traces to this collector, by OTLP over HTTP: `http://collector:4318`. Default: OTEL_EXPORTER_OTLP_ENDPOINT;
    /// without either, no traces. Each sampled request takes more processor time: OTEL_TRACES_SAMPLER sets how many
    /// are.
    #[arg(long, env = "PLUGIN_REGISTRY_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<Url>,
}

impl TraceArgs {
    /// The same as with `--otlp-endpoint`.
    pub fn to(endpoint: Url) -> TraceArgs {
        TraceArgs { otlp_endpoint: Some(endpoint) }
    }

    /// Starts to export traces in the name of `service`, if a collector is set. Call it within a runtime.
    ///
    /// # Errors
    ///
    /// If a setting is invalid.
    pub fn start(&self, service: &'static str) -> anyhow::Result<Traces> {
        if !self.is_wanted() {
            return Ok(Traces::default());
        }
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            if let Some(protocol) = setting(name).filter(|protocol| protocol != "http/protobuf") {
                bail!("{name} is `{protocol}`, but traces are only sent by http/protobuf: set it to that");
            }
        }
        check_sampler()?;
        let client = HttpClient::for_many_hosts(AddressPolicy::Everything)
            .map_err(|why| anyhow!("{why}, for the trace collector"))?;
        let mut exporter = SpanExporter::builder().with_http().with_http_client(Collector(client));
        if let Some(base) = &self.otlp_endpoint {
            exporter = exporter.with_endpoint(format!("{}/v1/traces", base.as_str().trim_end_matches('/')));
        }
        let exporter = exporter.build().context("cannot use the trace collector")?;
        // The address may hold a password, so it is not logged.
        info!("traces are exported to a collector");
        let usual = ExportSettings::default();
        let settings = ExportSettings {
            queue: number("OTEL_BSP_MAX_QUEUE_SIZE")?.unwrap_or(usual.queue),
            batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?.unwrap_or(usual.batch),
            delay: number("OTEL_BSP_SCHEDULE_DELAY")?.map_or(usual.delay, Duration::from_millis),
        };
        Ok(Traces::start(exporter, &resource(service), settings))
    }

    /// The origin of this process's requests, for traces in the name of `service`.
    ///
    /// # Errors
    ///
    /// As [`TraceArgs::start`].
    pub fn origin(&self, service: &'static str) -> anyhow::Result<(Traces, Origin)> {
        let traces = self.start(service)?;
        let (parent, state) = (setting("TRACEPARENT"), setting("TRACESTATE"));
        let origin = Origin::new(traces.clone(), parent.as_deref(), state.as_deref());
        Ok((traces, origin))
    }

    fn is_wanted(&self) -> bool {
        let is_off = setting("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || setting("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter == "none");
        let endpoints = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        !is_off && (self.otlp_endpoint.is_some() || endpoints.into_iter().any(|name| setting(name).is_some()))
    }
}

/// Exports the remaining spans, within the grace period of the process.
pub async fn stop(traces: &Traces, grace: Duration) {
    traces.stop(grace.min(LAST_WORD)).await;
}

/// The resource of the traces, unless the environment sets another (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`).
fn resource(service: &'static str) -> Resource {
    let told = setting("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_told = |name: &str| told.split(',').any(|part| part.split('=').next().map(str::trim) == Some(name));
    let mut usual = vec![
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", new_identity().to_string()),
    ];
    if setting("OTEL_SERVICE_NAME").is_none() {
        usual.push(KeyValue::new("service.name", service));
    }
    usual.retain(|attribute| !is_told(attribute.key.as_str()));
    Resource::builder().with_attributes(usual).build()
}

/// Refuses a wrong sampler, which the SDK would ignore and then sample everything.
fn check_sampler() -> anyhow::Result<()> {
    let sampler = setting("OTEL_TRACES_SAMPLER");
    match sampler.as_deref().map(|name| name.strip_prefix("parentbased_").unwrap_or(name)) {
        None | Some("always_on" | "always_off") => Ok(()),
        Some("traceidratio") => match number::<f64>("OTEL_TRACES_SAMPLER_ARG")? {
            Some(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
            _ => bail!("OTEL_TRACES_SAMPLER_ARG must be the ratio of sampled traces, from 0 to 1"),
        },
        Some(_) => {
            bail!("OTEL_TRACES_SAMPLER must be always_on, always_off, traceidratio, or `parentbased_` and one of these")
        }
    }
}

/// A variable of the environment; an empty one counts as unset.
fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<T: FromStr>(name: &str) -> anyhow::Result<Option<T>> {
    let read = |value: String| value.parse().ok().with_context(|| format!("{name} is `{value}`, but must be a number"));
    setting(name).map(read).transpose()
}

/// The HTTP client of the collector. The operator sets its address, so no address policy applies.
///
/// opentelemetry-http's implementation for reqwest accepts responses of 4 MiB, has no timeout, and shows the URL in
/// its errors.
#[derive(Debug)]
struct Collector(HttpClient);

#[async_trait::async_trait]
impl opentelemetry_http::HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.fetch(request, ATTEMPT_TIME, MAX_ANSWER).await;
        // The exporter reports only that the network failed.
        Ok(answer.inspect_err(|error| debug!(error = error.reason(), "cannot reach the trace collector"))?)
    }
}
