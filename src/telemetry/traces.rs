//! Begins spans for sampled work, if there is an exporter.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanExporter};

use super::export::{ExportSettings, SpanCounts, SpanQueue};

/// The instrumentation scope of the spans, as OpenTelemetry requires.
const SCOPE: &str = env!("CARGO_PKG_NAME");

/// The tracer. The default exports nothing. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Tracers>>);

#[derive(Debug)]
struct Tracers {
    /// Asks the sampler of the environment (`OTEL_TRACES_SAMPLER`). By default the parent's decision counts, and a span
    /// without a parent is sampled.
    sampled: SdkTracer,
    /// Samples everything: for spans that follow from sampled work.
    always: SdkTracer,
    outbox: SpanQueue,
}

impl Traces {
    /// Exports traces with `exporter`, in the name of `resource`. Call it within a runtime.
    pub fn start(mut exporter: impl SpanExporter + 'static, resource: &Resource, settings: ExportSettings) -> Traces {
        exporter.set_resource(resource);
        let outbox = SpanQueue::start(exporter, settings);
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let builder =
            || SdkTracerProvider::builder().with_resource(resource.clone()).with_span_processor(outbox.clone());
        let sampled = builder().build().tracer_with_scope(scope.clone());
        let always = builder().with_sampler(Sampler::AlwaysOn).build().tracer_with_scope(scope);
        Traces(Some(Arc::new(Tracers { sampled, always, outbox })))
    }

    /// Whether no spans are exported.
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Begins a span below `parent`, or a new trace; `None` if it is not sampled.
    pub fn span(&self, parent: Option<&SpanContext>, name: &'static str, kind: SpanKind) -> Option<ActiveSpan> {
        let tracers = self.0.as_ref()?;
        let parent = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.clone()),
            None => Context::new(),
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let span = tracers.sampled.build_with_context(builder, &parent);
        span.is_recording().then(|| ActiveSpan(Box::new(span)))
    }

    /// Begins a span in a trace of its own that started `took` ago and links to the spans of `links`.
    pub fn past(&self, name: &'static str, took: Duration, links: Vec<SpanContext>) -> Option<ActiveSpan> {
        let tracers = self.0.as_ref()?;
        let began: SystemTime = opentelemetry::time::now().checked_sub(took)?;
        let links = links.into_iter().map(Link::with_context).collect();
        let builder = SpanBuilder::from_name(name).with_start_time(began).with_links(links);
        Some(ActiveSpan(Box::new(tracers.always.build_with_context(builder, &Context::new()))))
    }

    /// The number of spans by outcome; `None` without an exporter.
    pub fn counts(&self) -> Option<&SpanCounts> {
        self.0.as_ref().map(|tracers| tracers.outbox.counts())
    }

    /// Exports the remaining spans; returns once that is done, at the latest after `within`.
    pub async fn stop(&self, within: Duration) {
        if let Some(tracers) = &self.0 {
            tracers.outbox.stop(within).await;
        }
    }
}

/// A span that has begun. Dropping it ends the span.
#[derive(Debug)]
pub struct ActiveSpan(Box<Span>);

impl ActiveSpan {
    /// The context that a child span needs.
    pub fn context(&self) -> &SpanContext {
        self.0.span_context()
    }

    /// Renames the span, once its final name is known.
    pub fn rename(&mut self, name: String) {
        self.0.update_name(name);
    }

    /// Adds attributes.
    pub fn add(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.0.set_attributes(attributes);
    }

    /// Links to another span.
    pub fn link(&mut self, other: SpanContext) {
        self.0.add_link(other, Vec::new());
    }

    /// Marks the span as failed.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.0.set_status(Status::error(why.into()));
    }
}
