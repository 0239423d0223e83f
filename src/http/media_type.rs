//! Media types.

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

/// The media type of most replies.
pub const JSON: &str = "application/json";

/// The media type of newline-delimited JSON: one document in each line.
pub const NDJSON: &str = "application/x-ndjson";

/// The media type of comma-separated values (RFC 4180).
pub const CSV: &str = "text/csv";

/// The media type of server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// The media type of OpenMetrics, without parameters.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text";

/// The media type of Prometheus' older text format, for clients that accept no other format.
pub(crate) const PLAIN_TEXT: &str = "text/plain";

/// The media type of a merge patch (RFC 7396).
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// The media type of a body, without its parameters, in lower case.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
