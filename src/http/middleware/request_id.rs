//! The id of a request: its client's, or one that is made here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::clock::new_identity;

/// Names the request, in the reply, the log and the journal.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters of a request id that a client may choose.
const MAX_LENGTH: usize = 128;

/// The id of a request, for its handler.
#[derive(Debug, Clone)]
pub struct RequestId(pub HeaderValue);

/// Makes request ids: one prefix a process, and a count.
#[derive(Clone)]
pub struct RequestIds {
    prefix: Arc<str>,
    count: Arc<AtomicU64>,
}

impl RequestIds {
    /// Ids that no other process makes.
    pub fn new() -> RequestIds {
        let identity = new_identity().simple().to_string();
        let prefix = identity.chars().take(12).chain(['-']).collect::<String>();
        RequestIds { prefix: prefix.into(), count: Arc::default() }
    }

    /// A new id.
    pub fn make(&self) -> HeaderValue {
        let count = HeaderValue::from(self.count.fetch_add(1, Ordering::Relaxed));
        let text = [self.prefix.as_bytes(), count.as_bytes()].concat();
        // Hexadecimal digits, a hyphen and decimal ones are fit for a header field.
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(count)
    }

    /// The id that the client has given to its request, if it is fit to be repeated in a log, or else a new one.
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
