//! An HTTP client that checks on every call the guarantees of every response.
//!
//! Every response has `Registry-Revision`, `Registry-Store` and `X-Request-Id`, and every error is a problem document.

use std::net::SocketAddr;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Deserialize as _;
use serde_json::Value;

use super::{EventStream, Problem, within_patience};
use plugin_registry::net::tls::trusting_no_server;

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// The Authorization header of every request.
    token: Option<String>,
}

impl Client {
    /// A client of the server at `address`.
    pub(crate) fn new(address: SocketAddr) -> Client {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(trusting_no_server().expect("TLS"))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS needs nothing");
        Client { http, base: format!("http://{address}"), token: None }
    }

    /// The same client for another server.
    pub(crate) fn at(&self, address: SocketAddr) -> Client {
        Client { base: format!("http://{address}"), ..self.clone() }
    }

    /// The same client, with a token.
    pub(crate) fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Call {
        let builder = self.http.request(method.clone(), format!("{}{path}", self.base));
        let shown = self.token.iter().fold(builder, |builder, token| builder.bearer_auth(token));
        Call { builder: shown, method, path: path.split(['?', '#']).next().unwrap_or_default().to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.request(Method::GET, path)
    }

    pub(crate) fn head(&self, path: &str) -> Call {
        self.request(Method::HEAD, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.request(Method::DELETE, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Call {
        self.request(Method::POST, path).json(body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Call {
        self.request(Method::PUT, path).json(body)
    }

    /// A merge patch (RFC 7396).
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Call {
        self.request(Method::PATCH, path).body("application/merge-patch+json", body.to_string())
    }

    /// Registers a new plugin, and returns the response.
    #[track_caller]
    pub(crate) fn register(&self, body: &Value) -> impl Future<Output = Reply> {
        self.post("/plugins", body).answers(201)
    }

    /// Watches `path`; the server must accept.
    #[track_caller]
    pub(crate) fn watch(&self, path: &str) -> impl Future<Output = EventStream> {
        self.get(path).opens()
    }

    /// Posts lines to `/plugins` and returns the result lines.
    pub(crate) async fn import(&self, lines: impl Into<Bytes>) -> Vec<Value> {
        self.request(Method::POST, "/plugins").body("application/x-ndjson", lines).answers(200).await.lines()
    }
}

/// A request under construction.
pub(crate) struct Call {
    builder: reqwest::RequestBuilder,
    method: Method,
    path: String,
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Call {
        self.builder = self.builder.header(name, value.as_ref());
        self
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Call {
        self.builder = self.builder.header(CONTENT_TYPE, media_type).body(body.into());
        self
    }

    /// A body without a Content-Type.
    pub(crate) fn bare_body(mut self, body: impl Into<Bytes>) -> Call {
        self.builder = self.builder.body(body.into());
        self
    }

    /// A body without Content-Length, sent in chunks.
    pub(crate) fn streamed(mut self, media_type: &str, body: reqwest::Body) -> Call {
        self.builder = self.builder.header(CONTENT_TYPE, media_type).body(body);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Call {
        self.body("application/json", body.to_string())
    }

    /// Sends the request, and checks the guarantees of every response.
    #[track_caller]
    pub(crate) fn send(self) -> impl Future<Output = Reply> {
        let asked = format!("{} {}", self.method, self.path);
        let sent = within_patience(&asked.clone(), self.builder.send());
        async move {
            let response = sent.await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
            let (status, headers) = (response.status(), response.headers().clone());
            let body = within_patience("the body", response.bytes()).await;
            let body = body.unwrap_or_else(|error| panic!("{asked}: the body broke off: {error:?}"));
            let reply = Reply { asked, method: self.method, path: self.path, status, headers, body };
            reply.check();
            reply
        }
    }

    /// Sends the request to a server that the test may kill; `None` without a complete response.
    pub(crate) async fn attempted(self) -> Option<Reply> {
        let asked = format!("{} {}", self.method, self.path);
        let response = within_patience(&asked, self.builder.send()).await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = within_patience("the body", response.bytes()).await.ok()?;
        let reply = Reply { asked, method: self.method, path: self.path, status, headers, body };
        reply.check();
        Some(reply)
    }

    /// Sends the request with Accept: text/event-stream, and returns the stream.
    #[track_caller]
    pub(crate) fn opens(self) -> impl Future<Output = EventStream> {
        let asked = format!("{} {}", self.method, self.path);
        let sent = within_patience(&asked, self.header("accept", "text/event-stream").builder.send());
        async move {
            let response = sent.await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
            assert_eq!(response.status(), StatusCode::OK, "{asked}: {}", response.text().await.unwrap_or_default());
            EventStream::of(response)
        }
    }

    /// Sends the request, and checks the status.
    #[track_caller]
    pub(crate) fn answers(self, status: u16) -> impl Future<Output = Reply> {
        let sent = self.send();
        async move {
            let reply = sent.await;
            assert_eq!(reply.status.as_u16(), status, "{}: {}", reply.asked, reply.text());
            reply
        }
    }

    /// Sends the request, and checks that the server refuses it with `status`.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> impl Future<Output = Problem> {
        let answered = self.answers(status);
        async move { answered.await.problem() }
    }
}

/// A response that has passed the checks.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    asked: String,
    method: Method,
    path: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    fn check(&self) {
        let asked = &self.asked;
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()), "{asked}: no X-Request-Id");
        let store = self.header("registry-store").unwrap_or_else(|| panic!("{asked}: no Registry-Store"));
        assert!(store.len() == 32 && store.bytes().all(|byte| byte.is_ascii_hexdigit()), "{asked}: store {store:?}");
        let revision = self.header("registry-revision").and_then(|revision| revision.parse::<u64>().ok());
        assert!(revision.is_some(), "{asked}: no Registry-Revision");
        let media_type = self.header("content-type");
        match self.status.as_u16() {
            400.. if self.method == Method::HEAD => {
                assert_eq!(media_type, Some("application/problem+json"), "{asked}");
            }
            400.. => drop(self.problem()),
            204 | 304 => assert!(self.body.is_empty() && media_type.is_none(), "{asked}: {media_type:?}"),
            _ if self.path.starts_with("/docs") || self.path == "/metrics" => {}
            _ if self.path == "/" || self.path.starts_with("/ui/") => {}
            _ if media_type == Some("application/x-ndjson") => drop(self.lines()),
            _ if media_type.is_some_and(|media_type| media_type.starts_with("text/csv;")) => drop(self.text()),
            _ => {
                assert_eq!(media_type, Some("application/json"), "{asked}: {}", self.text());
                if self.method != Method::HEAD {
                    self.json();
                }
            }
        }
    }

    /// The problem document of an error.
    pub(crate) fn problem(&self) -> Problem {
        assert!(self.header("etag").is_none(), "{}: an error has no entity tag", self.asked);
        // The server does not parse the path of a head that is too long.
        let path = (!matches!(self.status.as_u16(), 414 | 431)).then_some(self.path.as_str());
        Problem::read(&self.asked, self.status.as_u16(), &self.headers, &self.body, path)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("our headers are ASCII"))
    }

    pub(crate) fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("{}: no ETag", self.asked)).to_owned()
    }

    /// `Registry-Revision`.
    pub(crate) fn revision(&self) -> u64 {
        self.header("registry-revision").and_then(|revision| revision.parse().ok()).expect("checked on arrival")
    }

    /// `Registry-Store`.
    pub(crate) fn store(&self) -> &str {
        self.header("registry-store").expect("checked on arrival")
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or("(no text)")
    }

    /// The JSON body, with exact numbers and any nesting.
    pub(crate) fn json(&self) -> Value {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        deserializer.disable_recursion_limit();
        let value = Value::deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
        value.unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// The documents of an NDJSON body.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert!(self.body.is_empty() || self.body.ends_with(b"\n"), "{}: the last line has no end", self.asked);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.asked));
        self.text().lines().map(parse).collect()
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<Value> {
        self.json()["items"].as_array().unwrap_or_else(|| panic!("{}: no items", self.asked)).clone()
    }

    /// The unique_ids of a list of plugins.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.items().iter().map(|item| item["unique_id"].as_str().expect("every item has an id").to_owned()).collect()
    }

    /// `next_cursor`, which is null on the last page.
    pub(crate) fn next_cursor(&self) -> Option<String> {
        let body = self.json();
        let next = body.get("next_cursor").unwrap_or_else(|| panic!("{}: no next_cursor", self.asked));
        next.as_str().map(str::to_owned)
    }
}
