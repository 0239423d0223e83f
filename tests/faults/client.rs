//! An HTTP client that takes nothing on trust: whatever a reply says, its form is checked first.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::violation::Violation;
use plugin_registry::net::tls::trusting_no_server;

/// How long a reply may take before that counts as a hang. Much more than it ever takes.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: String,
}

/// A reply of a right form.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Of the header, which every reply bears.
    pub(crate) revision: u64,
    /// Null where there is none.
    pub(crate) body: Value,
}

/// A reply, or none.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(Answer),
    /// 503: not acknowledged.
    Unavailable,
    /// The connection broke, so that nobody knows what became of the request: the server was killed.
    Broken,
}

impl Client {
    /// With connections of its own: those of a server that was killed are of no use.
    pub(crate) fn new(address: &str) -> Client {
        Client {
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_backend_preconfigured(trusting_no_server().expect("TLS"))
                .build()
                .expect("a client"),
            address: address.to_owned(),
        }
    }

    pub(crate) async fn list(&self) -> Result<Reply, Violation> {
        self.send(Method::GET, "/plugins?limit=10000", None).await
    }

    pub(crate) async fn get(&self, unique_id: &str) -> Result<Reply, Violation> {
        self.send(Method::GET, &format!("/plugins/{unique_id}"), None).await
    }

    pub(crate) async fn register(&self, body: &Value) -> Result<Reply, Violation> {
        self.send(Method::POST, "/plugins", Some(body)).await
    }

    pub(crate) async fn put_pids(&self, unique_id: &str, pids: &[u64]) -> Result<Reply, Violation> {
        let body = serde_json::json!({ "spawned_pids": pids });
        self.send(Method::PUT, &format!("/plugins/{unique_id}/spawned_pids"), Some(&body)).await
    }

    pub(crate) async fn delete(&self, unique_id: &str) -> Result<Reply, Violation> {
        self.send(Method::DELETE, &format!("/plugins/{unique_id}?force=true"), None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply, Violation> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.address));
        let request = body.into_iter().fold(request, reqwest::RequestBuilder::json);
        let response = match request.timeout(PATIENCE).send().await {
            Err(error) if error.is_timeout() => return Err(Violation::Server(format!("hung on {method} {path}"))),
            Err(_) => return Ok(Reply::Broken),
            Ok(response) => response,
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let Ok(body) = response.bytes().await else { return Ok(Reply::Broken) };
        checked(status, &headers, &body).map_err(|what| {
            Violation::WrongReply(format!("{method} {path}: {status} {what}: {}", String::from_utf8_lossy(&body)))
        })
    }
}

fn checked(status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Reply, String> {
    let revision = header(headers, "registry-revision").and_then(|text| text.parse().ok());
    let revision = revision.ok_or("without Registry-Revision")?;
    let content_type = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    if status == 204 {
        return Ok(Reply::Answer(Answer { status, revision, body: Value::Null }));
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("is no JSON ({error})"))?;
    match status {
        200 | 201 if content_type.starts_with("application/json") => {}
        404 | 503 if content_type.starts_with("application/problem+json") => {}
        200 | 201 | 404 | 503 => return Err(format!("with the content type {content_type:?}")),
        _ => return Err("is no right answer".to_owned()),
    }
    if status < 400 {
        return Ok(Reply::Answer(Answer { status, revision, body }));
    }
    if body.get("status").and_then(Value::as_u64) != Some(u64::from(status)) {
        return Err("is a problem with another status".to_owned());
    }
    match status {
        503 if headers.contains_key(RETRY_AFTER) => Ok(Reply::Unavailable),
        503 => Err("without Retry-After".to_owned()),
        _ => Ok(Reply::Answer(Answer { status, revision, body })),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
