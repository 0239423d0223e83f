//! The trace that work belongs to, as in W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt as _, TraceFlags};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::traces::{ActiveSpan, Traces};

/// The header with the ids of the trace and the parent span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header with vendors' data about the trace, which is forwarded unchanged.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most spans below a request: an import of 100,000 lines must not fill the queue of spans.
const MAX_SPANS: u32 = 128;

tokio::task_local! {
    static CURRENT: Trace;
}

/// The trace that work belongs to, and the parent span. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: SpanContext,
    /// The tracer of new spans; off if they are not exported.
    traces: Traces,
    /// How many spans have begun.
    spans: AtomicU32,
}

impl Trace {
    /// A trace that continues below `context`.
    pub fn below(context: SpanContext, traces: Traces) -> Trace {
        Trace(Arc::new(Inner { context, traces, spans: AtomicU32::new(0) }))
    }

    /// The trace of this task.
    pub fn current() -> Option<Trace> {
        CURRENT.try_with(Trace::clone).ok()
    }

    /// Runs work as a part of this trace.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), work)
    }

    /// Begins a span for part of the work; `None` if it is not exported.
    pub fn span(&self, name: &'static str, kind: SpanKind) -> Option<ActiveSpan> {
        let Inner { context, traces, spans } = &*self.0;
        if !context.is_sampled() || traces.is_off() || spans.fetch_add(1, Ordering::Relaxed) >= MAX_SPANS {
            return None;
        }
        traces.span(Some(context), name, kind)
    }

    /// The tracer.
    pub fn traces(&self) -> &Traces {
        &self.0.traces
    }

    /// The parent span.
    pub fn context(&self) -> &SpanContext {
        &self.0.context
    }

    /// The id of the trace, for the log.
    pub fn trace_id(&self) -> impl Display + use<> {
        self.0.context.trace_id()
    }

    /// The id of the span, for the log.
    pub fn span_id(&self) -> impl Display + use<> {
        self.0.context.span_id()
    }
}

/// The trace context in the headers of a message; `None` if there is no valid one.
pub fn read_from(headers: &HeaderMap) -> Option<SpanContext> {
    // W3C Trace Context, section "Processing Model": with several headers, begin a new trace.
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(_), None) = (parents.next(), parents.next()) else { return None };
    let told = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let span = told.span();
    Some(span.span_context()).filter(|context| context.is_valid()).cloned()
}

/// Writes the trace context into the headers of a message.
pub fn write_to(headers: &mut HeaderMap, context: &SpanContext) {
    let flags = (context.trace_flags() & TraceFlags::SAMPLED).to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    // A traceparent is hexadecimal digits and hyphens, and a parsed tracestate is valid in a header.
    if let Ok(parent) = HeaderValue::try_from(parent) {
        headers.insert(TRACEPARENT, parent);
    }
    let state = context.trace_state().header();
    if let Some(state) = HeaderValue::try_from(state).ok().filter(|state| !state.is_empty()) {
        headers.insert(TRACESTATE, state);
    }
}

/// The parent of a client's requests.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    traces: Traces,
    parent: Option<SpanContext>,
}

impl Origin {
    /// Requests export spans to `traces`. They belong to the trace in the environment of this process, if the parent
    /// process has set one (`TRACEPARENT` and `TRACESTATE`, as OpenTelemetry defines them).
    pub fn new(traces: Traces, traceparent: Option<&str>, tracestate: Option<&str>) -> Origin {
        let mut headers = HeaderMap::new();
        for (name, value) in [(TRACEPARENT, traceparent), (TRACESTATE, tracestate)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        Origin { traces, parent: read_from(&headers) }
    }

    /// Begins the span of a request, and writes its context into the headers if it belongs to a trace.
    pub fn send(&self, name: &'static str, headers: &mut HeaderMap) -> Option<ActiveSpan> {
        let span = self.traces.span(self.parent.as_ref(), name, SpanKind::Client);
        if let Some(context) = span.as_ref().map(ActiveSpan::context).or(self.parent.as_ref()) {
            write_to(headers, context);
        }
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[(&HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_context_survives_reading_and_writing() {
        let read = headers(&[(&TRACEPARENT, PARENT), (&TRACESTATE, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")]);
        let context = read_from(&read).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        let mut written = HeaderMap::new();
        write_to(&mut written, &context);
        assert_eq!(written, read);
    }

    #[test]
    fn invalid_headers_are_ignored() {
        for parent in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(read_from(&headers(&[(&TRACEPARENT, parent)])).is_none(), "{parent}");
        }
        assert!(
            read_from(&headers(&[(&TRACEPARENT, PARENT), (&TRACEPARENT, PARENT)])).is_none(),
            "two headers are invalid"
        );
        assert!(read_from(&headers(&[(&TRACESTATE, "rojo=1")])).is_none());
    }

    #[test]
    fn a_trace_is_propagated_without_an_exporter() {
        let origin = Origin::new(Traces::default(), Some(PARENT), None);
        let mut sent = HeaderMap::new();
        assert!(origin.send("POST", &mut sent).is_none());
        assert_eq!(sent, headers(&[(&TRACEPARENT, PARENT)]));
    }
}
