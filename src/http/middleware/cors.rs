//! Lets pages of other origins read replies (CORS, Fetch standard section 3.2).
//!
//! CORS is off unless the operator names origins. Credentials are never allowed: the service uses no cookies, and pages
//! send their tokens explicitly.

use std::collections::BTreeSet;

use axum::response::{IntoResponse as _, Response};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, Method, StatusCode};
use url::Url;

/// The methods that pages may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// The request fields that pages may send, besides the fields that CORS always allows.
const REQUEST_FIELDS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, registry-reason, traceparent, x-request-id",
);

/// The response fields that pages may read, besides the fields that CORS always allows.
const RESPONSE_FIELDS: HeaderValue = HeaderValue::from_static(
    "allow, etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, registry-age, \
     registry-revision, registry-store, registry-tokens, retry-after, x-request-id",
);

/// For how many seconds a browser may cache the preflight reply.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Caches must store a reply for each origin separately.
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("origin");

/// The origins whose pages may read replies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    origins: BTreeSet<Box<[u8]>>,
    is_any: bool,
}

impl Cors {
    /// Allows these origins, for example `https://app.example`; `*` allows any origin.
    ///
    /// # Errors
    ///
    /// Says why a text is not an origin.
    pub fn allowing<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Cors, String> {
        let mut cors = Cors::default();
        for origin in origins {
            if origin == "*" {
                cors.is_any = true;
                continue;
            }
            let written = Url::parse(origin).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
            match written.map(|written| written.ascii_serialization()) {
                Some(written) if written == origin => drop(cors.origins.insert(origin.as_bytes().into())),
                Some(written) => {
                    return Err(format!("`{origin}` is not written as browsers send it; write `{written}`"));
                }
                None => {
                    return Err(format!("`{origin}` is not an origin; write one such as https://app.example, or `*`"));
                }
            }
        }
        Ok(cors)
    }

    /// Returns true if and only if pages of this origin may read replies.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.is_any || self.origins.contains(origin.as_bytes())
    }

    fn is_off(&self) -> bool {
        !self.is_any && self.origins.is_empty()
    }

    /// The reply to a preflight request of an allowed origin; `None` for all other requests.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        if self.is_off() || *method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        headers.get(ORIGIN).filter(|origin| self.allows(origin))?;
        let fields = [
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_FIELDS),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        Some((StatusCode::NO_CONTENT, fields).into_response())
    }

    /// Lets the page that sent the request read the reply, if the page's origin is allowed.
    pub fn mark(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.is_off() {
            return;
        }
        // Replies to other origins need the field, too: a cache must not reuse them for an allowed origin.
        answer.append(VARY, VARY_ORIGIN);
        if let Some(origin) = origin.filter(|origin| self.allows(origin)) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_FIELDS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        let cors = Cors::allowing(["https://app.example", "http://localhost:3000"]).unwrap();
        for (origin, allowed) in [
            ("https://app.example", true),
            ("http://localhost:3000", true),
            ("http://app.example", false),
            ("https://app.example:8443", false),
            ("https://app.example.evil", false),
            ("https://evil.app.example", false),
            ("null", false),
        ] {
            assert_eq!(cors.allows(&HeaderValue::from_static(origin)), allowed, "{origin}");
        }
        for wrong in
            ["", "app.example", "https://app.example/", "https://APP.example", "https://a:443", "null", "data:x"]
        {
            assert!(Cors::allowing([wrong]).is_err(), "{wrong}");
        }
    }
}
