//! The id of a request: the client's id, or a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::clock::new_identity;

/// The id of the request, in the reply, the log and the journal.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that a client may choose, in characters.
const MAX_LENGTH: usize = 128;

/// The id of a request, as an extension for handlers.
#[derive(Debug, Clone)]
pub struct RequestId(pub HeaderValue);

/// Makes request ids: a prefix for the process, and a counter.
#[derive(Clone)]
pub struct RequestIds {
    prefix: Arc<str>,
    count: Arc<AtomicU64>,
}

impl RequestIds {
    /// Starts a counter with a prefix that no other process uses.
    pub fn new() -> RequestIds {
        let identity = new_identity().simple().to_string();
        let prefix = identity.chars().take(12).chain(['-']).collect::<String>();
        RequestIds { prefix: prefix.into(), count: Arc::default() }
    }

    /// The next id.
    pub fn make(&self) -> HeaderValue {
        let count = HeaderValue::from(self.count.fetch_add(1, Ordering::Relaxed));
        let text = [self.prefix.as_bytes(), count.as_bytes()].concat();
        // Hexadecimal digits, a hyphen and decimal digits are valid in a header field.
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(count)
    }

    /// The client's id for the request, if the id is safe to write to a log; otherwise a new id.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let fit =
            |id: &&HeaderValue| (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
        headers.get(X_REQUEST_ID).filter(fit).cloned().unwrap_or_else(|| self.make())
    }
}

impl Default for RequestIds {
    fn default() -> RequestIds {
        RequestIds::new()
    }
}
