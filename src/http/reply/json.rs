//! JSON replies that several routes make.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderValue, LOCATION};
use serde::Serialize;

use crate::http::extract::path::encode_segment;
use crate::http::headers::revision_header;
use crate::http::media_type::JSON;
use crate::http::problem::Problem;
use domain::command::{Outcome, Precondition, Refusal};
use domain::record::Record;
use domain::{EntityTag, Snapshot};

/// Any document as JSON.
pub fn json(document: &impl Serialize) -> Response {
    json_bytes(text_of(document))
}

/// Any document as the text of a reply.
pub fn text_of(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).unwrap_or_default().into()
}

/// A reply of serialised JSON.
pub fn json_bytes(bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(JSON))], Body::from(bytes)).into_response()
}

/// Sets the entity tag of a reply.
pub fn tag(response: &mut Response, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(ETAG, value);
    }
}

/// A plugin from a snapshot.
///
/// # Errors
///
/// 412 when `If-Match` does not hold.
pub fn plugin(snapshot: &Snapshot, record: &Record, precondition: &Precondition) -> Result<Response, Problem> {
    tagged(&snapshot.tag(record.revision), precondition, snapshot, || json_bytes(record.json.clone()))
}

/// The reply that `make` builds, or 304 when the client has the same tag already (RFC 9110 section 13.2.2).
///
/// # Errors
///
/// 412 when `If-Match` does not hold.
pub fn tagged(
    current: &EntityTag,
    precondition: &Precondition,
    snapshot: &Snapshot,
    make: impl FnOnce() -> Response,
) -> Result<Response, Problem> {
    let revision = Some(current.revision);
    if precondition.if_match.as_ref().is_some_and(|wanted| !wanted.matches(revision, &snapshot.store)) {
        return Err(Refusal::PreconditionFailed { current: revision }.into());
    }
    let known = precondition.if_none_match.as_ref().is_some_and(|known| known.matches(revision, &snapshot.store));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { make() };
    tag(&mut response, &current.to_string());
    let (name, value) = revision_header(snapshot.state.revision());
    response.headers_mut().insert(name, value);
    Ok(response)
}

/// A list or a count of a whole snapshot. The tag is weak, so that the reply may be compressed.
///
/// # Errors
///
/// 412 when `If-Match` does not hold.
pub fn of_snapshot(
    snapshot: &Snapshot,
    precondition: &Precondition,
    make: impl FnOnce() -> Response,
) -> Result<Response, Problem> {
    let current = snapshot.tag(snapshot.state.revision());
    let mut response = tagged(&current, precondition, snapshot, make)?;
    tag(&mut response, &format!("W/{current}"));
    Ok(response)
}

/// The link to the next page of a list: the same query with another cursor.
pub fn next_page(query: Option<&str>, cursor: &str) -> Option<HeaderValue> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let cursor = format!("cursor={cursor}");
    let query: Vec<_> = pairs.chain([cursor.as_str()]).collect();
    HeaderValue::from_str(&format!("<?{}>; rel=\"next\"", query.join("&"))).ok()
}

/// The plugin after a write: 201 with a `Location` for a new plugin, 200 for an existing plugin, 204 for a removed
/// plugin.
pub fn written(snapshot: &Snapshot, outcome: &Outcome) -> Response {
    match &outcome.record {
        Some(record) => standing(snapshot, record, outcome.created),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

fn standing(snapshot: &Snapshot, record: &Arc<Record>, created: bool) -> Response {
    let mut response = json_bytes(record.json.clone());
    tag(&mut response, &snapshot.tag(record.revision).to_string());
    if created {
        *response.status_mut() = StatusCode::CREATED;
        let location = format!("/plugins/{}", encode_segment(record.unique_id.as_str()));
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(LOCATION, location);
        }
    }
    response
}
