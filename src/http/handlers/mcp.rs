//! `/mcp`: the tools for AI agents, by the Model Context Protocol. See [`registry_mcp`].
//!
//! A tool asks the API in this process, through all of its middleware, with the caller's token. So each question is
//! authorized, counted and logged as if the caller had sent it.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::{StatusCode, Uri};
use registry_mcp::{ApiReply, ApiRequest, Caller, Mcp, Unanswered};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::http::extract::body::read_whole;
use crate::http::headers::{REGISTRY_REASON, REGISTRY_REVISION};
use crate::http::middleware::client_ip::ClientIp;
use crate::http::middleware::stack::OwnErrors;
use crate::http::problem::Problem;
use crate::http::state::Shared;

/// The header fields of the caller that go to the API: who it is, and where its request was sent.
const PASSED_ON: &[HeaderName] = &[AUTHORIZATION, HOST, ORIGIN];

/// The route, over the routes of the API with their middleware.
pub fn routes(api: Router) -> Router<Shared> {
    let tools = registry_mcp::http_service(Mcp::new(InProcess(api), env!("CARGO_PKG_VERSION")));
    let answer = move |State(api): State<Shared>, request: Request| async move {
        let (head, body) = request.into_parts();
        // The body counts towards the limits of all bodies.
        let bytes = read_whole(Request::from_parts(head.clone(), body), &api).await?;
        let mut response = tools.handle(Request::from_parts(head, Body::from(bytes))).await.map(Body::new);
        // The protocol's errors have a form of their own (JSON-RPC).
        response.extensions_mut().insert(OwnErrors);
        Ok::<Response, Problem>(response)
    };
    Router::new().route("/mcp", post(answer))
}

/// The API of this process.
#[derive(Clone)]
struct InProcess(Router);

impl registry_mcp::Api for InProcess {
    async fn send(&self, request: ApiRequest, caller: Caller) -> Result<ApiReply, Unanswered> {
        let Ok(target) = request.target.parse::<Uri>() else {
            return Ok(ApiReply { status: StatusCode::URI_TOO_LONG, revision: None, body: Value::Null });
        };
        let mut sent = Request::new(request.body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        *sent.method_mut() = request.method;
        *sent.uri_mut() = target;
        if let Some(reason) = request.reason.and_then(|reason| HeaderValue::from_bytes(reason.as_bytes()).ok()) {
            sent.headers_mut().insert(REGISTRY_REASON, reason);
        }
        sent.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(caller) = caller {
            for name in PASSED_ON {
                sent.headers_mut()
                    .extend(caller.headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
            }
            if let (None, Some(authority)) = (sent.headers().get(HOST), caller.uri.authority()) {
                // HTTP/2 has the host in the target.
                sent.headers_mut().extend(HeaderValue::from_str(authority.as_str()).ok().map(|host| (HOST, host)));
            }
            // The middleware around this request has found the client behind proxies already.
            if let Some(client) = caller.extensions.get::<ClientIp>() {
                sent.extensions_mut().insert(*client);
            }
        }
        let Ok(reply) = self.0.clone().oneshot(sent).await;
        let (head, body) = reply.into_parts();
        let revision = head.headers.get(REGISTRY_REVISION).and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(ApiReply { status: head.status, revision, body })
    }
}
