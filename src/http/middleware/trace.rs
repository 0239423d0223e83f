//! A request's part in a trace (W3C Trace Context, and OpenTelemetry's conventions for HTTP servers).

use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};

use crate::telemetry::{ActiveSpan, KeyValue, SpanKind, Trace, Traces, context};

/// A request that is part of a trace.
pub(crate) struct RequestTrace {
    /// The trace, as what the request leads to goes on with it.
    pub trace: Trace,
    /// The request's own span, if anybody is to be told of it.
    span: Option<ActiveSpan>,
}

/// What became of a request.
pub(crate) struct AnsweredRequest<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub route: &'a str,
    pub status: StatusCode,
    pub request_id: &'a HeaderValue,
    pub principal: Option<&'a str>,
}

impl RequestTrace {
    /// The part of a request; `None` when it is not sampled here, and no trace of anybody else's.
    pub fn begin(traces: &Traces, method: &Method, headers: &HeaderMap) -> Option<RequestTrace> {
        // Nearly every request ends here, having looked for one header field.
        let is_told = headers.contains_key(context::TRACEPARENT);
        if !is_told && traces.is_off() {
            return None;
        }
        let parent = if is_told { context::read_from(headers) } else { None };
        let span = traces.span(parent.as_ref(), known(method), SpanKind::Server);
        let context = span.as_ref().map(|span| span.context().clone()).or(parent)?;
        Some(RequestTrace { trace: Trace::below(context, traces.clone()), span })
    }

    /// Ends the request's span, with what there is to tell.
    pub fn end(self, answered: &AnsweredRequest<'_>) {
        let Some(mut span) = self.span else { return };
        let AnsweredRequest { method, uri, route, status, request_id, principal } = answered;
        span.rename(format!("{} {route}", known(method)));
        // Not the query: whoever asks may have put anything there.
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

/// The name of a method, as the conventions want it: a client can make up others without end.
fn known(method: &Method) -> &'static str {
    crate::http::metrics::requests::known(method).unwrap_or("_OTHER")
}
