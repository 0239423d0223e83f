//! What surrounds every request: its id, its snapshot, its time limit, and the form of its errors.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Extension, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::header::{CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode, Version};
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::request_id::{MakeRequestId, RequestId};
use tracing::{Span, error, info, info_span};

use super::body::media_type;
use super::negotiate::require_acceptable;
use super::problem::{Kind, PROBLEM_JSON, Problem};
use super::router::Api;
use crate::clock::new_identity;
use crate::registry::{Revision, Snapshot};

/// The revision that a reply was made from, or that a write has led to.
pub const REGISTRY_REVISION: HeaderName = HeaderName::from_static("registry-revision");

/// Whose history that revision belongs to.
pub const REGISTRY_STORE: HeaderName = HeaderName::from_static("registry-store");

/// Names the request, in the reply, the log and the journal.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters of a request id that a client may choose.
const MAX_REQUEST_ID: usize = 128;

/// The view that a request has of the registry, the same from its beginning to its end.
pub type Now = Extension<Arc<Snapshot>>;

/// Gives a request its snapshot, and its reply the headers and the form that every reply has.
pub async fn surround(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let snapshot = api.registry.snapshot();
    let uri = request.uri().clone();
    let request_id = request.headers().get(X_REQUEST_ID).cloned();
    request.extensions_mut().insert(Arc::clone(&snapshot));
    let mut response = answer(&api, request, next).await.unwrap_or_else(IntoResponse::into_response);
    if response.status().is_client_error() || response.status().is_server_error() {
        response = as_problem(response, uri.path(), request_id.as_ref());
    }
    let headers = response.headers_mut();
    headers.entry(REGISTRY_REVISION).or_insert_with(|| HeaderValue::from(snapshot.state.revision().0));
    headers.entry(REGISTRY_STORE).or_insert_with(|| store_header(&snapshot));
    response
}

/// The handler's answer, if the request is fit for one and the answer comes in time.
async fn answer(api: &Api, request: Request, next: Next) -> Result<Response, Problem> {
    check_head(&request)?;
    if is_stream(request.headers()) {
        return Ok(next.run(request).await);
    }
    tokio::time::timeout(api.limits.request_time, next.run(request)).await.map_err(|_| out_of_time())
}

/// Marks a request that came with both Content-Length and Transfer-Encoding; the connection knows.
#[derive(Debug, Clone, Copy)]
pub struct AmbiguousLength;

/// What is wrong with a request whatever it asks for.
fn check_head(request: &Request) -> Result<(), Problem> {
    if request.extensions().get::<AmbiguousLength>().is_some() {
        let detail = "the request has both Content-Length and Transfer-Encoding (RFC 9112 section 6.3); send one";
        return Err(Problem::new(Kind::BadRequest, detail).closing());
    }
    // RFC 9112 section 3.2
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        return Err(Problem::new(Kind::BadRequest, "an HTTP/1.1 request has exactly one header field Host"));
    }
    let path = request.uri().path();
    if !is_well_encoded(path) {
        return Err(Problem::new(
            Kind::BadRequest,
            "the path has a `%` that is not followed by two hexadecimal digits, or escapes that are not UTF-8",
        ));
    }
    require_acceptable(path, request.headers())
}

/// Returns true if and only if every percent-encoding in a path (RFC 3986 section 2.1) is whole and
/// the bytes so written are UTF-8.
fn is_well_encoded(path: &str) -> bool {
    let mut rest = path;
    while let Some((_, escape)) = rest.split_once('%') {
        if !escape.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return false;
        }
        rest = escape.get(2..).unwrap_or_default();
    }
    percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// Requests whose bodies may take as long as they keep coming.
fn is_stream(headers: &HeaderMap) -> bool {
    media_type(headers).as_deref() == Some(super::ndjson::NDJSON)
}

fn out_of_time() -> Problem {
    Problem::new(Kind::Unavailable, "the request took too long and was given up; a change may still be made")
        .with_retry_after(Duration::from_secs(5))
}

/// Gives an error the form of a problem document, whoever has made it.
fn as_problem(mut response: Response, path: &str, request_id: Option<&HeaderValue>) -> Response {
    if response.headers().get(CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON) {
        return response;
    }
    let problem =
        response.extensions_mut().remove::<Problem>().unwrap_or_else(|| Problem::of_status(response.status()));
    let mut reply = problem.reply(Some(path), request_id.and_then(|id| id.to_str().ok()));
    for (name, value) in response.headers() {
        // Allow, Retry-After and the like stay; what describes the body that was replaced does not.
        if *name != CONTENT_TYPE && *name != hyper::header::CONTENT_LENGTH {
            reply.headers_mut().insert(name.clone(), value.clone());
        }
    }
    // As it was sent, where no kind of ours has exactly that status.
    *reply.status_mut() = response.status();
    reply
}

fn store_header(snapshot: &Snapshot) -> HeaderValue {
    HeaderValue::from_str(snapshot.store.as_str()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The header that says which revision a reply was made from.
pub fn revision_header(revision: Revision) -> (HeaderName, HeaderValue) {
    (REGISTRY_REVISION, HeaderValue::from(revision.0))
}

/// Makes request ids: one prefix a process, and a count.
#[derive(Clone)]
pub struct RequestIds {
    prefix: Arc<str>,
    count: Arc<AtomicU64>,
}

impl RequestIds {
    /// Ids that no other process makes.
    pub fn new() -> RequestIds {
        let identity = new_identity().simple().to_string();
        let prefix = identity.chars().take(12).collect::<String>();
        RequestIds { prefix: prefix.into(), count: Arc::default() }
    }
}

impl Default for RequestIds {
    fn default() -> RequestIds {
        RequestIds::new()
    }
}

impl MakeRequestId for RequestIds {
    fn make_request_id<B>(&mut self, _request: &hyper::Request<B>) -> Option<RequestId> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        HeaderValue::from_str(&format!("{}-{count}", self.prefix)).ok().map(RequestId::new)
    }
}

/// Forgets a request id that a client has sent and that is not fit to be repeated in a log.
pub fn drop_unfit_request_id<B>(mut request: hyper::Request<B>) -> hyper::Request<B> {
    let fit = |id: &HeaderValue| {
        id.len() <= MAX_REQUEST_ID && !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if request.headers().get(X_REQUEST_ID).is_some_and(|id| !fit(id)) {
        request.headers_mut().remove(X_REQUEST_ID);
    }
    request
}

/// The span of a request: what its log lines have in common.
pub fn request_span<B>(request: &hyper::Request<B>) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let id = request.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or("-");
    info_span!("request", http.method = %request.method(), http.route = route, request.id = id)
}

/// The log line of a request.
pub fn log_reply<B>(response: &hyper::Response<B>, latency: Duration, _span: &Span) {
    let latency_ms = latency.as_secs_f64() * 1e3;
    info!(http.status = response.status().as_u16(), latency_ms = (latency_ms * 1e3).round() / 1e3, "answered");
}

/// A panic in a handler: the request fails, the process lives.
#[expect(clippy::needless_pass_by_value, reason = "the form that tower-http asks for")]
pub fn panic_reply(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    error!(panic = message, "a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Which replies are worth compressing: long ones, and none with a strong entity tag, because a
/// compressed form would be another representation under the same tag (RFC 9110 section 8.8.3.3).
#[derive(Clone, Copy)]
pub struct WorthCompressing;

impl Predicate for WorthCompressing {
    fn should_compress<B: hyper::body::Body>(&self, response: &hyper::Response<B>) -> bool {
        let strong = response.headers().get(ETAG).is_some_and(|tag| !tag.as_bytes().starts_with(b"W/"));
        !strong && SizeAbove::new(4096).should_compress(response)
    }
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
