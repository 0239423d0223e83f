//! Any request: the command line has a verb for each route, and `api` for all of them.

use std::str::Utf8Error;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use super::{Client, ClientError, REQUEST_TIME, REVISION};

/// A request to the registry.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    headers: Vec<(HeaderName, String)>,
    body: Option<Bytes>,
    patience: Duration,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

impl Call {
    /// A request to a path, whose segments are not encoded yet.
    pub fn new(method: Method, segments: &[&str]) -> Call {
        let segments = segments.iter().map(|segment| (*segment).to_owned()).collect();
        Call { method, segments, query: Vec::new(), headers: Vec::new(), body: None, patience: REQUEST_TIME }
    }

    /// A request to read.
    pub fn get(segments: &[&str]) -> Call {
        Call::new(Method::GET, segments)
    }

    /// A request to a path with a query, both percent-encoded.
    ///
    /// # Errors
    ///
    /// If a segment does not stand for UTF-8.
    pub fn encoded(method: Method, target: &str) -> Result<Call, Utf8Error> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut call = Call::new(method, &[]);
        for segment in path.trim_matches('/').split('/') {
            call.segments.push(percent_decode_str(segment).decode_utf8()?.into_owned());
        }
        call.query.extend(url::form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(call)
    }

    /// The same with a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Call {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// The same with parameters.
    #[must_use]
    pub fn with_all(mut self, parameters: &[(String, String)]) -> Call {
        self.query.extend_from_slice(parameters);
        self
    }

    /// The same with a header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a JSON document as its body.
    #[must_use]
    pub fn json(self, body: &Value) -> Call {
        let media_type = if self.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        self.body(media_type, body.to_string())
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Call {
        self.body = Some(body.into());
        self.header(CONTENT_TYPE, media_type)
    }

    /// The same, which waits longer for its response.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Call {
        self.patience = self.patience.saturating_add(patience);
        self
    }

    /// The request line, without the server.
    pub fn line(&self) -> String {
        let mut line = format!("{} /{}", self.method, self.segments.join("/"));
        for (index, (name, value)) in self.query.iter().enumerate() {
            line.extend([if index == 0 { "?" } else { "&" }, name, "=", value]);
        }
        line
    }
}

impl Answer {
    /// The body as JSON; null if there is none.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn json(&self) -> Result<Value, ClientError> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Answer(error.to_string()))
    }

    /// The revision of the registry at the response.
    pub fn revision(&self) -> Option<u64> {
        self.headers.get(REVISION)?.to_str().ok()?.parse().ok()
    }

    /// The tag of what was read, for `If-Match`.
    pub fn tag(&self) -> Option<String> {
        Some(self.headers.get(ETAG)?.to_str().ok()?.to_owned())
    }

    /// The fields of the header.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }
}

impl Client {
    /// Sends a request. A status of 400 or more is an error.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn call(&self, call: &Call) -> Result<Answer, ClientError> {
        let request = self.request(call)?;
        let answer = self.ask_within(call.patience, request).await?;
        let (parts, body) = answer.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub(super) fn request(&self, call: &Call) -> Result<Request<Bytes>, ClientError> {
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let mut url = self.url(&segments)?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = Request::builder().method(call.method.clone()).uri(url.as_str());
        if !call.headers.iter().any(|(name, _)| name == ACCEPT) {
            request = request.header(ACCEPT, "application/json");
        }
        for (name, value) in &call.headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| invalid(&url, &format!("`{name}` has characters that no header can carry")))?;
            request = request.header(name, value);
        }
        request.body(call.body.clone().unwrap_or_default()).map_err(|error| invalid(&url, &error.to_string()))
    }
}

fn invalid(url: &Url, why: &str) -> ClientError {
    ClientError::Address { address: url.to_string(), why: why.to_owned() }
}
