//! A client of the registry's API: for the agent, for `exec`, and for programs that use this crate.
//!
//! It shares the domain types with the service, and nothing else. Each call is one request; the caller
//! decides about retries. The client ignores the proxy variables of the environment.
//!
//! | file | idea |
//! |---|---|
//! | [`wire`] | the documents that are sent and received |
//! | [`backup`] | streams a backup |
//! | [`call`] | any request, for the command line |
//! | [`live`] | live events |
//! | [`error`] | [`ClientError`]: how a call fails, with the registry's own words |

pub mod backup;
pub mod call;
pub mod error;
pub mod live;
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
pub use call::{Answer, Call};
use domain::plugin::Pid;
pub use error::ClientError;
pub use live::{Live, LiveEvent};
pub use wire::{Accepted, Lease, LeaseRequest, Report, ReportedSighting, ResourceRow};

/// The timeout of a request with its whole response: the service allows itself the same time.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// The header of every response of a registry.
const REVISION: &str = "registry-revision";

/// A client of one registry.
#[derive(Debug, Clone)]
pub struct Client {
    http: HttpClient,
    base: Url,
    /// The Authorization header of every request.
    credential: Option<HeaderValue>,
    origin: Origin,
}

/// The version of a list when it was last fetched.
#[derive(Debug, Clone, Default)]
pub struct ListTag(Option<HeaderValue>);

impl Client {
    /// A client of the registry at `server`, such as `http://localhost:8080`. It trusts the system's authorities.
    ///
    /// # Errors
    ///
    /// If `server` is not a registry address.
    pub fn new(server: &str) -> Result<Client, ClientError> {
        Client::secured(server, &Security::default())
    }

    /// A client of the registry at `server`, which uses `security` for TLS.
    ///
    /// # Errors
    ///
    /// If `server` is not a registry address, or a file is unusable.
    pub fn secured(server: &str, security: &Security) -> Result<Client, ClientError> {
        let wrong = |why: String| ClientError::Address { address: server.to_owned(), why };
        let base = Url::parse(server).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(wrong("an address begins with `http://` or `https://`".into()));
        }
        let http = HttpClient::for_one_server(&base, security).map_err(ClientError::Security)?;
        Ok(Client { http, base, credential: None, origin: Origin::default() })
    }

    /// The same client, which sends a token with every request.
    ///
    /// # Errors
    ///
    /// If `token` cannot be a token.
    pub fn with_token(self, token: &str) -> Result<Client, ClientError> {
        let address = self.base.to_string();
        let wrong =
            |_| ClientError::Address { address, why: "the token has characters that no header can carry".into() };
        let mut field = HeaderValue::from_str(&format!("Bearer {token}")).map_err(wrong)?;
        field.set_sensitive(true);
        Ok(Client { credential: Some(field), ..self })
    }

    /// The same client, whose requests belong to traces.
    #[must_use]
    pub fn from_origin(self, origin: Origin) -> Client {
        Client { origin, ..self }
    }

    /// The address of the registry.
    pub fn server(&self) -> &Url {
        &self.base
    }

    /// Registers a plugin: `POST /plugins`. Returns the stored plugin.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn register(&self, plugin: &Value) -> Result<Value, ClientError> {
        read(&self.send(Method::POST, &["plugins"], Some(plugin)).await?)
    }

    /// Registers a plugin that must be new: `POST /plugins` with `If-None-Match: *`. Returns false if it
    /// exists already; the registry then changes nothing.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
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
    /// If the plugin does not exist, or the registry is unreachable or refuses the request.
    pub async fn plugin(&self, unique_id: &str) -> Result<Value, ClientError> {
        read(&self.send(Method::GET, &["plugins", unique_id], None::<&Value>).await?)
    }

    /// Answers the request to stop a plugin: `PUT /plugins/{id}/stop_request/answer`.
    ///
    /// # Errors
    ///
    /// If there is no such request (409), or the registry is unreachable or refuses the answer.
    pub async fn answer_stop(&self, unique_id: &str, answer: &Value) -> Result<(), ClientError> {
        self.send(Method::PUT, &["plugins", unique_id, "stop_request", "answer"], Some(answer)).await.map(drop)
    }

    /// Changes a plugin: `PATCH /plugins/{id}`, a merge patch (RFC 7396).
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn patch_plugin(&self, unique_id: &str, patch: &Value) -> Result<Value, ClientError> {
        read(&self.send(Method::PATCH, &["plugins", unique_id], Some(patch)).await?)
    }

    /// Replaces the processes that a plugin holds: `PUT /plugins/{id}/spawned_pids`.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn set_pids(&self, unique_id: &str, pids: &[Pid]) -> Result<Value, ClientError> {
        let body = serde_json::json!({ "spawned_pids": pids });
        read(&self.send(Method::PUT, &["plugins", unique_id, "spawned_pids"], Some(&body)).await?)
    }

    /// Adds to the processes that a plugin holds: `POST /plugins/{id}/spawned_pids`.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn add_pids(&self, unique_id: &str, pids: &[Pid]) -> Result<Value, ClientError> {
        let body = serde_json::json!({ "spawned_pids": pids });
        read(&self.send(Method::POST, &["plugins", unique_id, "spawned_pids"], Some(&body)).await?)
    }

    /// Removes a process from those that a plugin holds: `DELETE /plugins/{id}/spawned_pids/{pid}`.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn remove_pid(&self, unique_id: &str, pid: Pid) -> Result<(), ClientError> {
        let path = ["plugins", unique_id, "spawned_pids", &pid.to_string()];
        self.send(Method::DELETE, &path, None::<&Value>).await.map(drop)
    }

    /// Grants a lease: `POST /leases`.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn grant_lease(&self, request: &LeaseRequest) -> Result<Lease, ClientError> {
        read(&self.send(Method::POST, &["leases"], Some(request)).await?)
    }

    /// Renews a lease: `PUT /leases/{id}`.
    ///
    /// # Errors
    ///
    /// If the lease is missing or released, or the registry is unreachable.
    pub async fn renew_lease(&self, lease_id: &str) -> Result<Lease, ClientError> {
        read(&self.send(Method::PUT, &["leases", lease_id], Some(&serde_json::json!({}))).await?)
    }

    /// Releases a lease before it expires: `DELETE /leases/{id}`.
    ///
    /// # Errors
    ///
    /// If the lease does not exist, or the registry is unreachable.
    pub async fn release_lease(&self, lease_id: &str) -> Result<(), ClientError> {
        self.send(Method::DELETE, &["leases", lease_id], None::<&Value>).await.map(drop)
    }

    /// Reports observations: `POST /observations`.
    ///
    /// # Errors
    ///
    /// If another agent reports for the host (409), or the registry is unreachable.
    pub async fn observe(&self, report: &Report) -> Result<Accepted, ClientError> {
        read(&self.send(Method::POST, &["observations"], Some(report)).await?)
    }

    /// The resources of a host: `GET /resources?host=`, all pages. `None` if the list has not changed since `tag`.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
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

    /// The URL of a path. Refuses an id that is `.` or `..`, because it would change the path.
    fn url(&self, segments: &[&str]) -> Result<Url, ClientError> {
        if let Some(dots) = segments.iter().find(|segment| matches!(**segment, "." | ".." | "")) {
            return Err(ClientError::Address {
                address: self.base.to_string(),
                why: format!("`{dots}` is not a valid id"),
            });
        }
        let mut url = self.base.clone();
        // A base with a host always accepts a path.
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

    /// Sends a request, and turns an error status into an error.
    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        self.ask_within(REQUEST_TIME, request).await
    }

    async fn ask_within(&self, time: Duration, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let mut request = self.with_credential(request);
        let method = request.method().clone();
        let mut span = self.origin.send("registry.request", request.headers_mut());
        let sent = self.http.fetch(request, time, usize::MAX).await;
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
        // A proxy's page may have status 200. Every response of a registry has its revision.
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
    fn ids_are_encoded_as_one_path_segment() {
        let client = Client::new("http://localhost:8080/registry/").unwrap();
        let url = client.url(&["plugins", "a/b_c d?#", "spawned_pids"]).unwrap();
        assert_eq!(url.as_str(), "http://localhost:8080/registry/plugins/a%2Fb_c%20d%3F%23/spawned_pids");
        // The id is one segment, which no server splits into two.
        let url = client.url(&["plugins", "%2e%2e"]).unwrap();
        assert_eq!(url.as_str(), "http://localhost:8080/registry/plugins/%252e%252e");
        for id in [".", "..", ""] {
            assert!(client.url(&["plugins", id, "spawned_pids"]).is_err(), "an id of dots asked for another path");
        }
    }

    #[test]
    fn addresses_without_http_are_refused() {
        for server in ["", "localhost:8080", "ftp://localhost", "/plugins"] {
            assert!(matches!(Client::new(server), Err(ClientError::Address { .. })), "{server}");
        }
    }

    #[tokio::test]
    async fn a_registry_that_is_down_is_unreachable() {
        // No process listens on port 1 of the loopback.
        let down = Client::new("http://127.0.0.1:1").unwrap();
        let error = down.plugin("a_b").await.unwrap_err();
        assert!(error.may_pass() && error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
