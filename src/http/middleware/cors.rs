//! Which pages of other origins may read answers (CORS, Fetch standard section 3.2).
//!
//! Off unless origins are named. Credentials are never allowed: this service knows no cookies, and a token is sent by the
//! page itself.

use std::collections::BTreeSet;

use axum::response::{IntoResponse as _, Response};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, Method, StatusCode};
use url::Url;

/// What pages may ask.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Which header fields they may send beyond those that any page may.
const REQUEST_FIELDS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, traceparent, x-request-id",
);

/// Which fields of an answer they may read beyond those that any page may.
const RESPONSE_FIELDS: HeaderValue = HeaderValue::from_static(
    "allow, etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, registry-age, \
     registry-revision, registry-store, registry-tokens, retry-after, x-request-id",
);

/// For how many seconds a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What an answer that depends on the origin says to caches.
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("origin");

/// The origins whose pages may read answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    origins: BTreeSet<Box<[u8]>>,
    is_any: bool,
}

impl Cors {
    /// Allows these origins, for example `https://app.example`; `*` is any.
    ///
    /// # Errors
    ///
    /// What is wrong with one that is none.
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
                Some(written) => return Err(format!("`{origin}` is no origin as browsers send it; `{written}` is")),
                None => return Err(format!("`{origin}` is no origin; name it as in https://app.example, or `*`")),
            }
        }
        Ok(cors)
    }

    /// Returns true if and only if pages of this origin may read answers.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.is_any || self.origins.contains(origin.as_bytes())
    }

    fn is_off(&self) -> bool {
        !self.is_any && self.origins.is_empty()
    }

    /// The answer to a browser that asks whether a page may make a request, if that is what is asked and it may.
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

    /// Lets the page that has asked read the answer, if it may.
    pub fn mark(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.is_off() {
            return;
        }
        // To others, too: a cache must not give them what was made for a page that may.
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
