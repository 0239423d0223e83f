//! `Idempotency-Key`: lets a client retry a write safely (draft-ietf-httpapi-idempotency-key-header).

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{StatusCode, Uri};
use sha2::{Digest as _, Sha256};

use super::principal::principal_of;
use crate::http::headers::REGISTRY_REVISION;
use crate::http::operations::{Idempotency, Operation};
use crate::http::problem::{Kind, Problem};
use domain::access::Principal;
use domain::command::Outcome;
use domain::command::answer::Answer;
use domain::command::idempotency::Attempt;

/// The header field of a request that the client may retry.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Marks a reply that repeats the reply to an earlier attempt.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key, in bytes.
pub const MAX_KEY: usize = 255;

/// The header fields that are stored with a reply; all other fields are made anew for every reply.
fn kept_fields() -> [HeaderName; 4] {
    [CONTENT_TYPE, ETAG, LOCATION, REGISTRY_REVISION]
}

/// The key of a request, with a digest of the request.
#[derive(Clone)]
pub struct IdempotencyKey {
    key: Box<str>,
    digest: BodyDigest,
}

/// Refuses a key where the operation does not honour it. Ignoring it would let the client believe that a retry is safe.
///
/// # Errors
///
/// 400, saying what to do instead.
pub fn require_no_useless_key(operation: Option<&Operation>, headers: &HeaderMap) -> Result<(), Problem> {
    match operation.map(|operation| operation.idempotency) {
        Some(Idempotency::Refused(why)) if headers.contains_key(IDEMPOTENCY_KEY) => {
            Err(Problem::new(Kind::BadRequest, format!("leave Idempotency-Key out: {why}")))
        }
        _ => Ok(()),
    }
}

/// A digest that the body is added to while the body is read.
#[derive(Clone)]
pub struct BodyDigest(Arc<Mutex<Sha256>>);

impl BodyDigest {
    fn of(method: &str, uri: &Uri) -> BodyDigest {
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        BodyDigest(Arc::new(Mutex::new(Sha256::new_with_prefix(format!("{method} {target}\n")))))
    }

    /// Adds the body to the digest.
    pub fn add(&self, body: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).update(body);
    }

    fn text(&self, more: &[u8]) -> Box<str> {
        let mut digest = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        digest.update(more);
        BASE64_STANDARD_NO_PAD.encode(digest.finalize()).into()
    }
}

impl IdempotencyKey {
    /// The key of a request, if the request has one. The digest becomes an extension of the request, so that the body's
    /// reader can add the body.
    ///
    /// # Errors
    ///
    /// 400 for a malformed key.
    pub fn of(parts: &mut Parts) -> Result<Option<IdempotencyKey>, Problem> {
        let Some(key) = read(&parts.headers)? else { return Ok(None) };
        let key = owned(key, &principal_of(&parts.extensions));
        let digest = BodyDigest::of(parts.method.as_str(), &parts.uri);
        parts.extensions.insert(digest.clone());
        Ok(Some(IdempotencyKey { key, digest }))
    }

    /// An attempt with this key, after the body was read.
    pub fn attempt(&self, make: impl Fn(&Outcome) -> Response + Send + Sync + 'static) -> Attempt {
        let answer = move |outcome: &Outcome| kept(make(outcome), outcome);
        Attempt { key: self.key.clone(), fingerprint: self.digest.text(b""), answer: Arc::new(answer) }
    }

    /// An attempt for the `number`th line of a request with many lines.
    pub fn part(&self, number: usize, text: &[u8], answer: fn(&Outcome) -> Answer) -> Attempt {
        let (key, fingerprint) = (format!("{}#{number}", self.key).into(), self.digest.text(text));
        Attempt { key, fingerprint, answer: Arc::new(answer) }
    }
}

/// Scopes a key to the token: two tokens may use the same key and never see each other's reply, even if the second got
/// the name of the first after its revocation. Keys have no space, so no client can send a scoped key.
fn owned(key: Box<str>, principal: &Principal) -> Box<str> {
    match &principal.token {
        Some(token) => format!("{key} {token}").into(),
        None => key,
    }
}

/// Reads the key: a structured string (RFC 8941 section 3.3.3), with or without its quotes.
fn read(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let key = text.strip_prefix('"').map_or(Some(text), |rest| rest.strip_suffix('"')).unwrap_or_default();
    let is_key = (1..=MAX_KEY).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    if !is_key || values.next().is_some() {
        let detail =
            format!("Idempotency-Key must be one text of 1 to {MAX_KEY} visible ASCII characters, such as a UUID");
        return Err(Problem::new(Kind::BadRequest, detail));
    }
    Ok(Some(key.into()))
}

/// Converts a reply to its stored form.
fn kept(mut response: Response, outcome: &Outcome) -> Answer {
    response.headers_mut().insert(REGISTRY_REVISION, HeaderValue::from(outcome.revision.0));
    let field = |name: HeaderName| {
        let value = response.headers().get(&name)?.to_str().ok()?;
        Some((name.as_str().into(), value.into()))
    };
    let (headers, status) = (kept_fields().into_iter().filter_map(field).collect(), response.status().as_u16());
    // Replies to writes are complete, so the body never blocks.
    let body = response.into_body().collect().now_or_never().and_then(Result::ok);
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Answer { status, headers, body: String::from_utf8_lossy(&body).into() }
}

/// Repeats the reply to an earlier attempt.
pub fn repeated(answer: &Answer) -> Response {
    let mut response = Body::from(answer.body.to_string()).into_response();
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&**name), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_and_without_quotes() {
        let key = |value: &str| {
            let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap())]);
            read(&headers).map_err(drop).map(|key| key.unwrap().to_string())
        };
        assert_eq!(key("\"8e03978e-40d5\""), Ok("8e03978e-40d5".into()));
        assert_eq!(key("8e03978e-40d5"), Ok("8e03978e-40d5".into()));
        for wrong in ["", "\"", "\"\"", "\"a", "a b", "a\"b", "a\\b", &"x".repeat(256)] {
            assert_eq!(key(wrong), Err(()), "{wrong}");
        }
        assert_eq!(read(&HeaderMap::new()).unwrap(), None);
    }
}
