//! How a tool reaches the registry's HTTP API.

use std::borrow::Cow;
use std::future::Future;

use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What may stand in a query or a path segment as it is (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The request of the MCP client, with its header fields: the credentials come from there.
pub type Caller = Option<http::request::Parts>;

/// A registry's HTTP API.
pub trait Api: Clone + Send + Sync + 'static {
    /// Sends a request with the credentials of the caller.
    fn send(&self, request: ApiRequest, caller: Caller) -> impl Future<Output = Result<ApiReply, Unanswered>> + Send;
}

/// A request to the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiRequest {
    /// The method.
    pub method: Method,
    /// The path and the query, percent-encoded.
    pub target: String,
    /// The JSON document to send.
    pub body: Option<Value>,
    /// Why the caller asks for a change; the header field `Registry-Reason`.
    pub reason: Option<String>,
}

/// Why there is no reply, and what mends it, in words for people and models.
#[derive(Debug, Clone, PartialEq)]
pub struct Unanswered(pub String);

/// The reply of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiReply {
    /// The status.
    pub status: StatusCode,
    /// The header field `Registry-Revision`.
    pub revision: Option<u64>,
    /// The JSON document; null if there is none.
    pub body: Value,
}

impl ApiRequest {
    /// Reads a path with parameters; those without a value are left out.
    pub fn get(path: &str, query: &[(&str, Option<Cow<'_, str>>)]) -> ApiRequest {
        let mut target = path.to_owned();
        let mut separator = '?';
        for (name, value) in query {
            if let Some(value) = value {
                target.push(separator);
                target.push_str(name);
                target.push('=');
                target.push_str(&encoded(value));
                separator = '&';
            }
        }
        ApiRequest { method: Method::GET, target, body: None, reason: None }
    }

    /// Sends a document to a path.
    pub fn post(path: String, body: Value) -> ApiRequest {
        ApiRequest { method: Method::POST, target: path, body: Some(body), reason: None }
    }

    /// Gives the reason of a change.
    #[must_use]
    pub fn because(self, reason: Option<String>) -> ApiRequest {
        ApiRequest { reason, ..self }
    }
}

/// A text as a path segment or the value of a parameter.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_leave_their_parameter() {
        let request = ApiRequest::get("/resources", &[("plugin", Some("a&b=c/ü".into())), ("host", None)]);
        assert_eq!(request.target, "/resources?plugin=a%26b%3Dc%2F%C3%BC");
    }
}
