//! Header fields that restrict what browsers do with replies.

use hyper::HeaderMap;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// Browsers must not guess another media type.
pub const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Pages load scripts, styles and fonts only from this service, and other pages cannot frame them. Images in
/// stylesheets are `data:` URLs.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Adds the security header fields to a reply.
pub fn mark(holds_secrets: bool, strict_transport: Option<&HeaderValue>, answer: &mut HeaderMap) {
    answer.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if let Some(strict) = strict_transport {
        answer.insert(STRICT_TRANSPORT_SECURITY, strict.clone());
    }
    if holds_secrets && !answer.contains_key(CACHE_CONTROL) {
        answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let is = |answer: &HeaderMap, kind: &[u8]| {
        answer.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(kind))
    };
    if is(answer, b"text/javascript") {
        // A shared worker obeys the policy of its script, not that of the page that started it.
        answer.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    }
    if is(answer, b"text/html") {
        answer.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
        answer.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        answer.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        answer.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    }
}
