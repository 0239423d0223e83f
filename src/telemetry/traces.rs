//! Beginning spans: of work that is sampled, when there is somebody to be told of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanExporter};

use super::export::{ExportSettings, SpanCounts, SpanQueue};

/// The name of what makes the spans, as OpenTelemetry asks for it.
const SCOPE: &str = env!("CARGO_PKG_NAME");

/// Where spans come from. The default tells nobody of anything. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Tracers>>);

#[derive(Debug)]
struct Tracers {
    /// Asks the sampler that the environment names (`OTEL_TRACES_SAMPLER`); by default, the parent's word counts, and
    /// what has no parent is sampled.
    sampled: SdkTracer,
    /// Asks nobody: for what only follows from work that was sampled.
    always: SdkTracer,
    outbox: SpanQueue,
}

impl Traces {
    /// Traces that are told to `exporter`, in the name of `resource`. Call it within a runtime.
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

    /// Whether nobody is told of anything.
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Begins a span below `parent`, or a trace; `None` when it is not sampled.
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

    /// A span of its own trace, of what has taken so long until now for the spans of `links`.
    pub fn past(&self, name: &'static str, took: Duration, links: Vec<SpanContext>) -> Option<ActiveSpan> {
        let tracers = self.0.as_ref()?;
        let began: SystemTime = opentelemetry::time::now().checked_sub(took)?;
        let links = links.into_iter().map(Link::with_context).collect();
        let builder = SpanBuilder::from_name(name).with_start_time(began).with_links(links);
        Some(ActiveSpan(Box::new(tracers.always.build_with_context(builder, &Context::new()))))
    }

    /// What has become of spans; `None` when there are none.
    pub fn counts(&self) -> Option<&SpanCounts> {
        self.0.as_ref().map(|tracers| tracers.outbox.counts())
    }

    /// Tells what is still to be told, and returns when that is done, or `within` that time at the latest.
    pub async fn stop(&self, within: Duration) {
        if let Some(tracers) = &self.0 {
            tracers.outbox.stop(within).await;
        }
    }
}

/// A span that was begun. It ends when it is dropped.
#[derive(Debug)]
pub struct ActiveSpan(Box<Span>);

impl ActiveSpan {
    /// What others need to know to go on below it.
    pub fn context(&self) -> &SpanContext {
        self.0.span_context()
    }

    /// Names it, when it is known only now what it is.
    pub fn rename(&mut self, name: String) {
        self.0.update_name(name);
    }

    /// Adds what is known about it.
    pub fn add(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.0.set_attributes(attributes);
    }

    /// Says that it has something to do with another.
    pub fn link(&mut self, other: SpanContext) {
        self.0.add_link(other, Vec::new());
    }

    /// Says that it has failed.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.0.set_status(Status::error(why.into()));
    }
}
