//! The layers around every handler: id, snapshot, time limit, form of errors, log line.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, StatusCode, Version};
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::error;
use tracing::field::{Value, display};

use super::load_shedding::Admission;
use super::request_id::{RequestId, RequestIds, X_REQUEST_ID};
use super::trace::{AnsweredRequest, RequestTrace};
use super::unused_token::{UnusedToken, UnusedTokens};
use super::{authorize, compress, consistency};
use crate::http::extract::idempotency::require_no_useless_key;
use crate::http::extract::negotiate::require_acceptable;
use crate::http::extract::reason::require_readable_reason;
use crate::http::headers::{REGISTRY_REVISION, REGISTRY_STORE, store_header};
use crate::http::operations::Operation;
use crate::http::problem::{Kind, PROBLEM_JSON, Problem, out_of_time};
use crate::http::query::read_options::ReadOptions;
use crate::http::state::{Api, Exposure, Shared};
use crate::telemetry::Trace;

/// A tower layer that puts the middleware around every route.
#[derive(Clone)]
pub struct StackLayer(Arc<StackContext>);

pub(crate) struct StackContext {
    api: Shared,
    ids: RequestIds,
    unused_tokens: UnusedTokens,
}

impl StackLayer {
    /// The middleware for the routes of `api`.
    pub fn new(api: Shared) -> StackLayer {
        StackLayer(Arc::new(StackContext { api, ids: RequestIds::new(), unused_tokens: UnusedTokens::default() }))
    }
}

impl<S> Layer<S> for StackLayer {
    type Service = StackService<S>;

    fn layer(&self, inner: S) -> StackService<S> {
        StackService { inner, surroundings: Arc::clone(&self.0) }
    }
}

/// A route with the middleware around it.
#[derive(Clone)]
pub struct StackService<S> {
    inner: S,
    surroundings: Arc<StackContext>,
}

impl<S> Service<Request> for StackService<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // `poll_ready` has prepared `self.inner`, so this request must use that instance; the next request gets the
        // clone.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let surroundings = Arc::clone(&self.surroundings);
        Box::pin(async move { Ok(serve(&surroundings, inner, request).await) })
    }
}

/// Gives the request its id and its snapshot, completes the reply, and logs the request.
pub(crate) async fn serve<S>(surroundings: &StackContext, inner: S, mut request: Request) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible> + Send,
{
    let began = Instant::now();
    let api = &surroundings.api;
    let id = surroundings.ids.of(request.headers());
    api.gate.proxies.trace_back(&mut request);
    let method = request.method().clone();
    let traced = RequestTrace::begin(&api.traces, &method, request.headers());
    let uri = request.uri().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // A preflight request carries no credentials and changes nothing, so no authentication is needed.
    let preflight = api.gate.preflight(&request);
    let operation = route.as_ref().and_then(|route| Operation::find(&method, route.as_str()));
    let (entry, admitted) = match &preflight {
        Some(_) => (api.gate.pass(&request), Ok(())),
        None => admit(api, operation, &mut request).await,
    };
    let current = match admitted {
        Ok(()) => consistency::snapshot_for(api, operation, &method, &uri).await,
        Err(problem) => Err(problem),
    };
    let unused_token = request.extensions().get::<UnusedToken>().copied();
    let principal = traced.as_ref().map(|_| crate::http::extract::principal::principal_of(request.extensions()).name);
    let (snapshot, refused) = match current {
        Ok(snapshot) => (snapshot, None),
        Err(problem) => (api.registry.snapshot(), Some(problem)),
    };
    // Only the revision is kept: a request that waits must not keep its first snapshot in memory.
    let (revision, store) = (snapshot.state.revision(), snapshot.store.clone());
    let is_loaded = snapshot.is_loaded();
    request.extensions_mut().insert(snapshot);
    request.extensions_mut().insert(RequestId(id.clone()));
    let answering = async {
        match (refused, preflight) {
            (Some(problem), _) => Err(problem),
            (None, Some(preflight)) => Ok(preflight),
            (None, None) => answer(api, inner, operation, request, entry.takes_its_time).await,
        }
    };
    let mut answering = std::pin::pin!(AssertUnwindSafe(answering).catch_unwind());
    let answered = match &traced {
        None => answering.await,
        Some(traced) => traced.trace.around(&mut answering).await,
    };
    let mut response = match answered {
        Ok(answer) => answer.unwrap_or_else(IntoResponse::into_response),
        Err(panic) => after_panic(&*panic, &id, traced.as_ref().map(|traced| &traced.trace)),
    };
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if is_error && response.extensions().get::<OwnErrors>().is_none() {
        response = as_problem(response, uri.path(), &id);
    }
    let headers = response.headers_mut();
    if is_loaded {
        headers.entry(REGISTRY_REVISION).or_insert_with(|| HeaderValue::from(revision.0));
        headers.entry(REGISTRY_STORE).or_insert_with(|| store_header(&store));
        consistency::tell_age(api, Instant::now(), headers);
    }
    if unused_token.is_some() {
        surroundings.unused_tokens.note(headers);
    }
    api.gate.mark(&entry, operation.is_some_and(|operation| operation.holds_secrets), headers);
    let (route, took) = (route.as_ref().map_or("-", MatchedPath::as_str), began.elapsed());
    let status = response.status();
    api.requests.count(&method, route, status, took);
    log(operation, &method, route, status, took, &id, traced.as_ref().map(|traced| &traced.trace));
    if let Some(traced) = traced {
        let principal = principal.as_deref();
        traced.end(&AnsweredRequest { method: &method, uri: &uri, route, status, request_id: &id, principal });
    }
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

/// Authenticates the caller, takes a permit for the request, and checks the caller's permission.
pub(crate) async fn admit(
    api: &Api,
    operation: Option<&Operation>,
    request: &mut Request,
) -> (Admission, Result<(), Problem>) {
    if api.offer == Exposure::MetricsAlone {
        // The metrics listener has no authentication: the operator restricts who can reach its address.
        return api.gate.enter(operation, request, None);
    }
    let permission = Operation::permission_of(request.method(), operation);
    if let Err(problem) = authorize::identify(api, permission, request).await {
        // A failed authentication counts towards the rate limit; otherwise clients could guess tokens at full speed.
        let (entry, admitted) = api.gate.enter(operation, request, None);
        return (entry, admitted.and(Err(problem)));
    }
    let named = crate::http::extract::principal::named(request.extensions());
    let (entry, admitted) = api.gate.enter(operation, request, named);
    let permitted = admitted.and_then(|()| authorize::permit(permission, request));
    (entry, permitted)
}

/// The handler's reply, if the request's head is valid and the reply begins within the time limit.
pub(crate) async fn answer<S>(
    api: &Api,
    inner: S,
    operation: Option<&Operation>,
    request: Request,
    takes_its_time: bool,
) -> Result<Response, Problem>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send,
{
    check_head(operation, &request)?;
    let waits = takes_its_time
        && operation.is_some_and(Operation::has_read_options)
        && ReadOptions::waits(request.uri().query());
    let waiting = waits.then(|| crate::http::extract::principal::principal_of(request.extensions()));
    let answer = compress::compressed(inner, request);
    if let Some(principal) = waiting {
        let response = answer.await;
        // The token may have been revoked or have expired during the wait.
        authorize::require_still(api, &principal)?;
        return Ok(response);
    }
    if takes_its_time {
        return Ok(answer.await);
    }
    tokio::time::timeout(api.limits.request_time, answer).await.map_err(|_| out_of_time())
}

/// Marks a request with both Content-Length and Transfer-Encoding. Only the connection sees both fields.
#[derive(Debug, Clone, Copy)]
pub struct AmbiguousLength;

/// Marks a request whose header exceeds the limit, but was read nevertheless.
#[derive(Debug, Clone, Copy)]
pub struct OversizedHeader;

/// Marks a response whose errors are documents of another protocol.
#[derive(Debug, Clone, Copy)]
pub struct OwnErrors;

/// Checks the parts of a request's head that no handler looks at.
pub(crate) fn check_head(operation: Option<&Operation>, request: &Request) -> Result<(), Problem> {
    if request.extensions().get::<OversizedHeader>().is_some() {
        return Err(Problem::of_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    if request.extensions().get::<AmbiguousLength>().is_some() {
        let detail = "the request has both Content-Length and Transfer-Encoding (RFC 9112 section 6.3); send one";
        return Err(Problem::new(Kind::BadRequest, detail).closing());
    }
    // RFC 9112 section 3.2
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        return Err(Problem::new(Kind::BadRequest, "an HTTP/1.1 request needs exactly one header field Host"));
    }
    let path = request.uri().path();
    if !is_well_encoded(path) {
        return Err(Problem::new(
            Kind::BadRequest,
            "the path has a `%` that is not followed by two hexadecimal digits, or escapes that are not UTF-8",
        ));
    }
    require_no_useless_key(operation, request.headers())?;
    require_readable_reason(request.method(), request.headers())?;
    require_acceptable(operation, request.headers())
}

/// Returns true if and only if every percent-encoding in a path (RFC 3986 section 2.1) is complete and the decoded
/// bytes are UTF-8.
pub(crate) fn is_well_encoded(path: &str) -> bool {
    if !path.contains('%') {
        return true;
    }
    let mut rest = path;
    while let Some((_, escape)) = rest.split_once('%') {
        if !escape.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return false;
        }
        rest = escape.get(2..).unwrap_or_default();
    }
    percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// Turns any error response into a problem document.
pub(crate) fn as_problem(mut response: Response, path: &str, request_id: &HeaderValue) -> Response {
    if response.headers().get(CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON) {
        return response;
    }
    let problem =
        response.extensions_mut().remove::<Problem>().unwrap_or_else(|| Problem::of_status(response.status()));
    let mut reply = problem.reply(Some(path), request_id.to_str().ok());
    for (name, value) in response.headers() {
        // Fields such as Allow and Retry-After stay; the fields that describe the replaced body do not.
        if *name != CONTENT_TYPE && *name != CONTENT_LENGTH {
            reply.headers_mut().insert(name.clone(), value.clone());
        }
    }
    // Some statuses have no kind of their own; the reply keeps its status.
    *reply.status_mut() = response.status();
    reply
}

/// Logs a request. Successful routine requests, such as health checks and renewals, are logged at `debug`: they come
/// every few seconds.
fn log(
    operation: Option<&Operation>,
    method: &Method,
    route: &str,
    status: StatusCode,
    latency: Duration,
    id: &HeaderValue,
    trace: Option<&Trace>,
) {
    // Rounded to microseconds.
    let milliseconds = (latency.as_secs_f64() * 1e6).round() / 1e3;
    let (trace_id, span_id) = ids_of(trace);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                http.method = method.as_str(),
                http.route = route,
                http.status = status.as_u16(),
                latency_ms = milliseconds,
                request.id = id.to_str().unwrap_or("-"),
                trace_id,
                span_id,
                "answered"
            )
        };
    }
    let is_routine = operation.is_some_and(|operation| operation.is_routine);
    if is_routine && status.is_success() { line!(debug) } else { line!(info) }
}

/// The ids of a request's trace and span, for the log. OpenTelemetry defines these names for logs in other formats.
pub(crate) fn ids_of(trace: Option<&Trace>) -> (Option<impl Value + use<>>, Option<impl Value + use<>>) {
    (trace.map(|trace| display(trace.trace_id())), trace.map(|trace| display(trace.span_id())))
}

/// Turns a panic in a handler into a 500; the process continues.
pub(crate) fn after_panic(panic: &(dyn Any + Send), id: &HeaderValue, trace: Option<&Trace>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let request_id = id.to_str().unwrap_or("-");
    let (trace_id, span_id) = ids_of(trace);
    error!(panic = message, request.id = request_id, trace_id, span_id, "a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_percent_encoding_is_seen() {
        for good in ["/", "/plugins/a%20b", "/plugins/%E9%9F%B3", "/%2F"] {
            assert!(is_well_encoded(good), "{good}");
        }
        for bad in ["/%", "/%2", "/%zz", "/a%2", "/%ff", "/%E9%9F"] {
            assert!(!is_well_encoded(bad), "{bad}");
        }
    }
}
