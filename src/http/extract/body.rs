//! Request bodies: media type, size, time limit, and JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::idempotency::BodyDigest;
use crate::http::media_type::{MERGE_PATCH, media_type};
use crate::http::middleware::limiter::Permit;
use crate::http::middleware::load_shedding::{DeferredPermit, LoadShedder};
use crate::http::problem::{Kind, Problem};
use crate::http::state::{Api, Shared};
use domain::plugin::json;
use domain::plugin::read::{ObjectReader, kind_of};

/// How many bytes of a body that is too large are read and discarded. Otherwise the connection is reset, and the client
/// never reads the reply.
const DRAINED: usize = 8 * 1024 * 1024;

/// A whole request body as JSON. `OUTER` is the depth at which the value will stand in a plugin's document.
pub struct JsonBody<const OUTER: usize = 0>(pub Value);

/// A whole request body as a merge patch, which is an object.
pub struct PatchBody<const OUTER: usize = 0>(pub Map<String, Value>);

impl<const OUTER: usize> FromRequest<Shared> for JsonBody<OUTER> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        require_type(request.headers(), &["application/json"])?;
        let bytes = read_whole(request, api).await?;
        Ok(JsonBody(json::parse_nested(&bytes, OUTER)?))
    }
}

impl<const OUTER: usize> FromRequest<Shared> for PatchBody<OUTER> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        require_type(request.headers(), &[MERGE_PATCH, "application/json"])?;
        let bytes = read_whole(request, api).await?;
        match json::parse_nested(&bytes, OUTER)? {
            Value::Object(patch) => Ok(PatchBody(patch)),
            other => {
                Err(domain::plugin::read::Invalid::at("", format!("must be an object, not {}", kind_of(&other))).into())
            }
        }
    }
}

/// No body, or an empty JSON object: for a request whose path says everything.
pub struct NoBody;

impl FromRequest<Shared> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        let typed = require_type(request.headers(), &["application/json"]);
        let bytes = read_whole(request, api).await?;
        if bytes.is_empty() {
            return Ok(NoBody);
        }
        let read = || {
            typed?;
            ObjectReader::new(json::parse(&bytes)?, "", &[], &[])?.finish()?;
            Ok(NoBody)
        };
        read().map_err(|problem: Problem| problem.advise(|_| true, "send no body, because the path says everything"))
    }
}

/// A JSON body, or none.
pub struct OptionalJsonBody(pub Option<Value>);

impl FromRequest<Shared> for OptionalJsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        let typed = require_type(request.headers(), &["application/json"]);
        let bytes = read_whole(request, api).await?;
        if bytes.is_empty() {
            return Ok(OptionalJsonBody(None));
        }
        typed?;
        Ok(OptionalJsonBody(Some(json::parse(&bytes)?)))
    }
}

/// The `charset` of a body, if it is not UTF-8. Many clients write `utf8`.
fn other_charset(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, charset) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    let charset = charset.trim().trim_matches('"');
    let is_utf8 = charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8");
    (!is_utf8).then_some(charset)
}

/// The coding of a body, if there is one. `identity` means none (RFC 9110 section 12.5.3).
fn content_coding(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("unreadable"));
    let mut codings = lines.flat_map(|line| line.split(',')).map(str::trim);
    codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// Refuses a body of another media type, or in another encoding than UTF-8.
///
/// # Errors
///
/// 415, naming the media types that are supported.
pub fn require_type(headers: &HeaderMap, taken: &[&str]) -> Result<(), Problem> {
    let refuse = |what: String| Err(Problem::new(Kind::UnsupportedMediaType, what));
    match media_type(headers) {
        Some(sent) if taken.contains(&sent.as_str()) => {}
        Some(sent) => return refuse(format!("the body is {sent}; send {}", taken.join(" or "))),
        None => return refuse(format!("the header field Content-Type is missing; send {}", taken.join(" or "))),
    }
    if let Some(charset) = other_charset(headers) {
        return refuse(format!("the charset of the body is {charset}; send UTF-8"));
    }
    if let Some(coding) = content_coding(headers) {
        return refuse(format!("the body is encoded as {coding}; send it without Content-Encoding"));
    }
    Ok(())
}

/// The whole body, within the limits of bodies.
///
/// # Errors
///
/// 408, 413 or 503 when it exceeds a limit.
pub async fn read_whole(request: Request, api: &Api) -> Result<Bytes, Problem> {
    let waits_for_go_ahead = request.headers().contains_key(EXPECT);
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let digest = request.extensions().get::<BodyDigest>().cloned();
    let turn = request.extensions().get::<Arc<DeferredPermit>>().cloned();
    let (whole, held) = read_bytes(request.into_body(), declared, waits_for_go_ahead, api).await?;
    if let Some(turn) = turn {
        turn.come(held)?;
    }
    if let Some(digest) = digest {
        digest.add(&whole);
    }
    Ok(whole)
}

async fn read_bytes(
    body: Body,
    declared: Option<usize>,
    waits_for_go_ahead: bool,
    api: &Api,
) -> Result<(Bytes, Permit), Problem> {
    let limit = api.limits.body_bytes;
    let mut held = api.gate.bodies.nothing();
    let mut reader = BodyReader::new(body, api.limits.body_time);
    if declared.is_some_and(|length| length > limit) {
        if !waits_for_go_ahead {
            reader.drain().await;
        }
        return Err(too_large(limit));
    }
    let Some(first) = reader.next().await? else { return Ok((Bytes::new(), held)) };
    let mut whole = BytesMut::new();
    let mut next = Some(first);
    while let Some(part) = next {
        if whole.len() + part.len() > limit {
            reader.drain().await;
            return Err(too_large(limit));
        }
        LoadShedder::hold(&mut held, part.len())?;
        if whole.is_empty() && declared == Some(part.len()) {
            return Ok((part, held));
        }
        whole.extend_from_slice(&part);
        next = reader.next().await?;
    }
    Ok((whole.freeze(), held))
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is larger than {limit} bytes; send a smaller one")).closing()
}

/// Reads a body part by part, each before a deadline.
pub struct BodyReader {
    body: Body,
    patience: Duration,
    deadline: Instant,
}

impl BodyReader {
    /// Reads `body`; the first deadline is `patience` from now.
    pub fn new(body: Body, patience: Duration) -> BodyReader {
        BodyReader { body, patience, deadline: Instant::now() + patience }
    }

    /// Starts the deadline anew after a complete line has arrived.
    pub fn renew(&mut self) {
        self.deadline = Instant::now() + self.patience;
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    ///
    /// 408 when the part does not arrive before the deadline, 400 when the client breaks off the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = tokio::time::timeout_at(self.deadline, self.body.frame()).await.map_err(|_| {
                let detail = format!("the body did not arrive within {} s", self.patience.as_secs());
                Problem::new(Kind::Timeout, detail).closing()
            })?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => {
                    return Err(Problem::new(Kind::BadRequest, "the body ended too early; send it again").closing());
                }
                // Trailers carry no data.
                Some(Ok(frame)) => {
                    if let Ok(part) = frame.into_data() {
                        return Ok(Some(part));
                    }
                }
            }
        }
    }

    async fn drain(&mut self) {
        let mut drained = 0;
        while drained < DRAINED {
            match self.next().await {
                Ok(Some(part)) => drained += part.len(),
                _ => return,
            }
        }
    }
}
