//! Which trace work belongs to, as W3C Trace Context (<https://www.w3.org/TR/trace-context/>) tells it.

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

/// The trace and the span that a request belongs to.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What the systems that a trace has come through add to it; handed on as it came.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most spans below that of a request: an import of 100,000 lines must not fill the queue of spans.
const MAX_SPANS: u32 = 128;

tokio::task_local! {
    static CURRENT: Trace;
}

/// The trace that work belongs to, and the span of which it is a part. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: SpanContext,
    /// How spans are begun, if they are to be told anybody.
    traces: Traces,
    /// How many were begun.
    spans: AtomicU32,
}

impl Trace {
    /// A trace that goes on below `context`.
    pub fn below(context: SpanContext, traces: Traces) -> Trace {
        Trace(Arc::new(Inner { context, traces, spans: AtomicU32::new(0) }))
    }

    /// The trace that the work of this task belongs to.
    pub fn current() -> Option<Trace> {
        CURRENT.try_with(Trace::clone).ok()
    }

    /// Does work as a part of this trace.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), work)
    }

    /// Begins a span of a part of the work; `None` when nobody is to be told of it.
    pub fn span(&self, name: &'static str, kind: SpanKind) -> Option<ActiveSpan> {
        let Inner { context, traces, spans } = &*self.0;
        if !context.is_sampled() || traces.is_off() || spans.fetch_add(1, Ordering::Relaxed) >= MAX_SPANS {
            return None;
        }
        traces.span(Some(context), name, kind)
    }

    /// How spans are begun.
    pub fn traces(&self) -> &Traces {
        &self.0.traces
    }

    /// The span that this goes on below.
    pub fn context(&self) -> &SpanContext {
        &self.0.context
    }

    /// The trace's id, for the log.
    pub fn trace_id(&self) -> impl Display + use<> {
        self.0.context.trace_id()
    }

    /// The span's id, for the log.
    pub fn span_id(&self) -> impl Display + use<> {
        self.0.context.span_id()
    }
}

/// The trace that a message is part of, as its sender says; `None` when it says nothing that is valid.
pub fn read_from(headers: &HeaderMap) -> Option<SpanContext> {
    // The section on processing says to start anew where there is more than one.
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(_), None) = (parents.next(), parents.next()) else { return None };
    let told = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let span = told.span();
    Some(span.span_context()).filter(|context| context.is_valid()).cloned()
}

/// Says in a message which trace it is part of.
pub fn write_to(headers: &mut HeaderMap, context: &SpanContext) {
    let flags = (context.trace_flags() & TraceFlags::SAMPLED).to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    // Hexadecimal digits and hyphens are fit for a header field, and what could be read as a state is, too.
    if let Ok(parent) = HeaderValue::try_from(parent) {
        headers.insert(TRACEPARENT, parent);
    }
    let state = context.trace_state().header();
    if let Some(state) = HeaderValue::try_from(state).ok().filter(|state| !state.is_empty()) {
        headers.insert(TRACESTATE, state);
    }
}

/// Where the requests of a client come from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    traces: Traces,
    parent: Option<SpanContext>,
}

impl Origin {
    /// Requests that are told to `traces`; they are part of the trace that whoever has started this process has named in
    /// the environment, if any (`TRACEPARENT` and `TRACESTATE`, as OpenTelemetry has them).
    pub fn new(traces: Traces, traceparent: Option<&str>, tracestate: Option<&str>) -> Origin {
        let mut headers = HeaderMap::new();
        for (name, value) in [(TRACEPARENT, traceparent), (TRACESTATE, tracestate)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        Origin { traces, parent: read_from(&headers) }
    }

    /// Begins the span of a request, and says in its header which trace it is part of, if it is of any.
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
    fn what_is_read_is_written_again() {
        let read = headers(&[(&TRACEPARENT, PARENT), (&TRACESTATE, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")]);
        let context = read_from(&read).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        let mut written = HeaderMap::new();
        write_to(&mut written, &context);
        assert_eq!(written, read);
    }

    #[test]
    fn what_is_not_valid_is_not_taken() {
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
        assert!(read_from(&headers(&[(&TRACEPARENT, PARENT), (&TRACEPARENT, PARENT)])).is_none(), "two are none");
        assert!(read_from(&headers(&[(&TRACESTATE, "rojo=1")])).is_none());
    }

    #[test]
    fn a_trace_is_handed_on_where_nobody_is_told_of_it() {
        let origin = Origin::new(Traces::default(), Some(PARENT), None);
        let mut sent = HeaderMap::new();
        assert!(origin.send("POST", &mut sent).is_none());
        assert_eq!(sent, headers(&[(&TRACEPARENT, PARENT)]));
    }
}
