//! A client of the registry's own API: for the agent, for `exec`, and for programs that use this crate.
//!
//! It shares the vocabulary with the service, and nothing else. Each call is one request; whoever calls
//! decides whether to try again. A proxy that the environment names is not used.
//!
//! | file | idea |
//! |---|---|
//! | [`wire`] | what is sent and answered |
//! | [`backup`] | a backup, as it comes |
//! | [`tls_advice`] | what to do about a TLS connection that could not be made |
//! | [`error`] | [`ClientError`]: what went wrong, with the registry's own words |

pub mod backup;
pub mod error;
pub mod tls_advice;
pub mod wire;

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::net::HttpClient;
pub use crate::net::{RequestError, Security, Trust};
use crate::telemetry::{KeyValue, Origin};
pub use backup::Backup;
use domain::plugin::Pid;
pub use error::ClientError;
pub use wire::{Accepted, Lease, LeaseRequest, Report, ReportedSighting, ResourceRow};

/// How long a request may take until its answer is complete, as long as the service itself gives it.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// The header that every answer of a registry has.
const REVISION: &str = "registry-revision";

/// Speaks to one registry.
#[derive(Debug, Clone)]
pub struct Client {
    http: HttpClient,
    base: Url,
    /// What is shown with every request.
    credential: Option<HeaderValue>,
    origin: Origin,
}

/// What a list was when it was last asked for.
#[derive(Debug, Clone, Default)]
pub struct ListTag(Option<HeaderValue>);

impl Client {
    /// A client of the registry at `server`, for example `http://localhost:8080`, that trusts whom the system trusts.
    ///
    /// # Errors
    ///
    /// When that is no address of a registry.
    pub fn new(server: &str) -> Result<Client, ClientError> {
        Client::secured(server, &Security::default())
    }

    /// A client of the registry at `server`, which speaks TLS with these files.
    ///
    /// # Errors
    ///
    /// When that is no address of a registry, or a file cannot be used.
    pub fn secured(server: &str, security: &Security) -> Result<Client, ClientError> {
        let wrong = |why: String| ClientError::Address { address: server.to_owned(), why };
        let base = Url::parse(server).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(wrong("it must begin with `http://` or `https://`".into()));
        }
        let http = HttpClient::for_one_server(&base, security).map_err(ClientError::Security)?;
        Ok(Client { http, base, credential: None, origin: Origin::default() })
    }

    /// The same client, which shows a token with every request.
    ///
    /// # Errors
    ///
    /// When the token is none.
    pub fn with_token(self, token: &str) -> Result<Client, ClientError> {
        let address = self.base.to_string();
        let wrong = |_| ClientError::Address { address, why: "the token is none".into() };
        let mut field = HeaderValue::from_str(&format!("Bearer {token}")).map_err(wrong)?;
        field.set_sensitive(true);
        Ok(Client { credential: Some(field), ..self })
    }

    /// The same client, whose requests are part of traces.
    #[must_use]
    pub fn from_origin(self, origin: Origin) -> Client {
        Client { origin, ..self }
    }

    /// The address of the registry.
    pub fn server(&self) -> &Url {
        &self.base
    }

    /// Registers a plugin: `POST /plugins`. Returns it as the registry has it now.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn register(&self, plugin: &Value) -> Result<Value, ClientError> {
        read(&self.send(Method::POST, &["plugins"], Some(plugin)).await?)
    }

    /// Registers a plugin that must be new: `POST /plugins` with `If-None-Match: *`. Returns false when it
    /// stood already, and is as it was.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn register_new(&self, plugin: &Value) -> Result<bool, ClientError> {
        let mut request = request_of(Method::POST, &self.url(&["plugins"])?, Some(plugin))?;
        request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        match self.ask(request).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(412) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One plugin: `GET /plugins/{id}`.
    ///
    /// # Errors
    ///
    /// When there is none, or the registry cannot be asked.
    pub async fn plugin(&self, unique_id: &str) -> Result<Value, ClientError> {
        read(&self.send(Method::GET, &["plugins", unique_id], None::<&Value>).await?)
    }

    /// Changes a plugin: `PATCH /plugins/{id}`, a merge patch (RFC 7396).
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn patch_plugin(&self, unique_id: &str, patch: &Value) -> Result<Value, ClientError> {
        read(&self.send(Method::PATCH, &["plugins", unique_id], Some(patch)).await?)
    }

    /// Says which processes a plugin holds: `PUT /plugins/{id}/spawned_pids`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn set_pids(&self, unique_id: &str, pids: &[Pid]) -> Result<Value, ClientError> {
        let body = serde_json::json!({ "spawned_pids": pids });
        read(&self.send(Method::PUT, &["plugins", unique_id, "spawned_pids"], Some(&body)).await?)
    }

    /// Adds to the processes that a plugin holds: `POST /plugins/{id}/spawned_pids`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn add_pids(&self, unique_id: &str, pids: &[Pid]) -> Result<Value, ClientError> {
        let body = serde_json::json!({ "spawned_pids": pids });
        read(&self.send(Method::POST, &["plugins", unique_id, "spawned_pids"], Some(&body)).await?)
    }

    /// Takes one process from those that a plugin holds: `DELETE /plugins/{id}/spawned_pids/{pid}`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn remove_pid(&self, unique_id: &str, pid: Pid) -> Result<(), ClientError> {
        let path = ["plugins", unique_id, "spawned_pids", &pid.to_string()];
        self.send(Method::DELETE, &path, None::<&Value>).await.map(drop)
    }

    /// Asks for a lease: `POST /leases`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn grant_lease(&self, request: &LeaseRequest) -> Result<Lease, ClientError> {
        read(&self.send(Method::POST, &["leases"], Some(request)).await?)
    }

    /// Renews a lease: `PUT /leases/{id}`.
    ///
    /// # Errors
    ///
    /// When it was released, there is none, or the registry cannot be asked.
    pub async fn renew_lease(&self, lease_id: &str) -> Result<Lease, ClientError> {
        read(&self.send(Method::PUT, &["leases", lease_id], Some(&serde_json::json!({}))).await?)
    }

    /// Releases a lease, the clean end: `DELETE /leases/{id}`.
    ///
    /// # Errors
    ///
    /// When there is none, or the registry cannot be asked.
    pub async fn release_lease(&self, lease_id: &str) -> Result<(), ClientError> {
        self.send(Method::DELETE, &["leases", lease_id], None::<&Value>).await.map(drop)
    }

    /// Reports what was seen: `POST /observations`.
    ///
    /// # Errors
    ///
    /// When another agent reports for the host (409), or the registry cannot be asked.
    pub async fn observe(&self, report: &Report) -> Result<Accepted, ClientError> {
        read(&self.send(Method::POST, &["observations"], Some(report)).await?)
    }

    /// What a host holds: `GET /resources?host=`, all pages. `None` when it is what `tag` stands for.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    pub async fn resources_of_host(
        &self,
        host: &str,
        tag: &mut ListTag,
    ) -> Result<Option<Vec<ResourceRow>>, ClientError> {
        let (mut rows, mut cursor, mut first) = (Vec::new(), None::<String>, ListTag::default());
        loop {
            let mut url = self.url(&["resources"])?;
            url.query_pairs_mut().append_pair("host", host).append_pair("limit", "10000");
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let mut request = request_of(Method::GET, &url, None::<&Value>)?;
            if let (None, Some(tag)) = (&cursor, &tag.0) {
                request.headers_mut().insert(IF_NONE_MATCH, tag.clone());
            }
            let answer = self.ask(request).await?;
            if answer.status() == StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            if cursor.is_none() {
                first = ListTag(answer.headers().get(ETAG).cloned());
            }
            let page: wire::ResourcePage = read(&answer)?;
            rows.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                *tag = first;
                return Ok(Some(rows));
            }
        }
    }

    /// The address of a path. An id that is `.` or `..` would ask for another one, and is refused.
    fn url(&self, segments: &[&str]) -> Result<Url, ClientError> {
        if let Some(dots) = segments.iter().find(|segment| matches!(**segment, "." | ".." | "")) {
            return Err(ClientError::Address { address: self.base.to_string(), why: format!("`{dots}` is no id") });
        }
        let mut url = self.base.clone();
        // A base with a host can always have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Ok(url)
    }

    async fn send<B: Serialize>(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&B>,
    ) -> Result<Response<Bytes>, ClientError> {
        self.ask(request_of(method, &self.url(segments)?, body)?).await
    }

    fn with_credential(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        request.headers_mut().extend(self.credential.clone().map(|shown| (AUTHORIZATION, shown)));
        request
    }

    fn unreachable(&self, source: RequestError) -> ClientError {
        ClientError::Unreachable { server: self.base.to_string(), source }
    }

    /// Sends a request, and judges the answer.
    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let mut request = self.with_credential(request);
        let method = request.method().clone();
        let mut span = self.origin.send("registry.request", request.headers_mut());
        let sent = self.http.fetch(request, REQUEST_TIME, usize::MAX).await;
        if let Some(span) = &mut span {
            span.add([KeyValue::new("http.request.method", method.to_string())]);
            match &sent {
                Ok(answer) => {
                    span.add([KeyValue::new("http.response.status_code", i64::from(answer.status().as_u16()))]);
                }
                Err(_) => span.fail("the registry cannot be reached"),
            }
        }
        let answer = sent.map_err(|source| self.unreachable(source))?;
        let (server, status) = (self.base.as_str(), answer.status().as_u16());
        if !answer.status().is_success() && answer.status() != StatusCode::NOT_MODIFIED {
            return Err(ClientError::refused(server, status, answer.body()));
        }
        // A proxy's page may come with 200; every answer of a registry says of which revision it is.
        if !answer.headers().contains_key(REVISION) {
            return Err(ClientError::NotARegistry { server: server.to_owned(), status });
        }
        Ok(answer)
    }
}

fn request_of<B: Serialize>(method: Method, url: &Url, body: Option<&B>) -> Result<Request<Bytes>, ClientError> {
    let media_type = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let mut request = Request::builder().method(method).uri(url.as_str());
    let mut text = Vec::new();
    if let Some(body) = body {
        text = serde_json::to_vec(body).map_err(|error| ClientError::Answer(error.to_string()))?;
        request = request.header(CONTENT_TYPE, media_type);
    }
    let wrong = |error: hyper::http::Error| ClientError::Address { address: url.to_string(), why: error.to_string() };
    request.body(Bytes::from(text)).map_err(wrong)
}

fn read<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T, ClientError> {
    serde_json::from_slice(answer.body()).map_err(|error| ClientError::Answer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_one_segment_whatever_they_hold() {
        let client = Client::new("http://localhost:8080/registry/").unwrap();
        let url = client.url(&["plugins", "a/b_c d?#", "spawned_pids"]).unwrap();
        assert_eq!(url.as_str(), "http://localhost:8080/registry/plugins/a%2Fb_c%20d%3F%23/spawned_pids");
        // As text it is one segment, which no server takes for two.
        let url = client.url(&["plugins", "%2e%2e"]).unwrap();
        assert_eq!(url.as_str(), "http://localhost:8080/registry/plugins/%252e%252e");
        for id in [".", "..", ""] {
            assert!(client.url(&["plugins", id, "spawned_pids"]).is_err(), "an id of dots asked for another path");
        }
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for server in ["", "localhost:8080", "ftp://localhost", "/plugins"] {
            assert!(matches!(Client::new(server), Err(ClientError::Address { .. })), "{server}");
        }
    }

    #[tokio::test]
    async fn a_registry_that_is_down_is_unreachable() {
        // Port 1 of the loopback is nobody's.
        let down = Client::new("http://127.0.0.1:1").unwrap();
        let error = down.plugin("a_b").await.unwrap_err();
        assert!(error.may_pass() && error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
