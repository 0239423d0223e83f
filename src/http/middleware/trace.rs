//! The server span of a request (W3C Trace Context, and OpenTelemetry's conventions for HTTP servers).

use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};

use crate::telemetry::{ActiveSpan, KeyValue, SpanKind, Trace, Traces, context};

/// A request that is part of a trace.
pub(crate) struct RequestTrace {
    /// The trace context, which the work of the request continues.
    pub trace: Trace,
    /// The server span, if an exporter receives spans.
    span: Option<ActiveSpan>,
}

/// The outcome of a request, for its span.
pub(crate) struct AnsweredRequest<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub route: &'a str,
    pub status: StatusCode,
    pub request_id: &'a HeaderValue,
    pub principal: Option<&'a str>,
}

impl RequestTrace {
    /// Begins the span of a request; `None` when the service does not sample the request and the caller sent no trace.
    pub fn begin(traces: &Traces, method: &Method, headers: &HeaderMap) -> Option<RequestTrace> {
        // Fast path: nearly every request ends here, after one lookup.
        let is_told = headers.contains_key(context::TRACEPARENT);
        if !is_told && traces.is_off() {
            return None;
        }
        let parent = if is_told { context::read_from(headers) } else { None };
        let span = traces.span(parent.as_ref(), known(method), SpanKind::Server);
        let context = span.as_ref().map(|span| span.context().clone()).or(parent)?;
        Some(RequestTrace { trace: Trace::below(context, traces.clone()), span })
    }

    /// Ends the span with the request's outcome.
    pub fn end(self, answered: &AnsweredRequest<'_>) {
        let Some(mut span) = self.span else { return };
        let AnsweredRequest { method, uri, route, status, request_id, principal } = answered;
        span.rename(format!("{} {route}", known(method)));
        // The query is left out, because a client may put secrets in the query.
        span.add([
            KeyValue::new("http.request.method", known(method)),
            KeyValue::new("http.route", (*route).to_owned()),
            KeyValue::new("url.scheme", uri.scheme_str().unwrap_or("http").to_owned()),
            KeyValue::new("url.path", uri.path().to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            KeyValue::new("request.id", request_id.to_str().unwrap_or("-").to_owned()),
        ]);
        span.add(principal.map(|name| KeyValue::new("user.name", name.to_owned())));
        if status.is_server_error() {
            span.fail(status.canonical_reason().unwrap_or_default());
        }
    }
}

/// The method's name, or `_OTHER` as the conventions require: clients can invent any number of names.
fn known(method: &Method) -> &'static str {
    crate::http::metrics::requests::known(method).unwrap_or("_OTHER")
}
