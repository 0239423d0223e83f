//! Replies to requests that never reach a handler.

use crate::http::headers::{REGISTRY_REVISION, REGISTRY_STORE};
use crate::http::middleware::request_id::{RequestIds, X_REQUEST_ID};
use crate::http::problem::Problem;
use crate::http::state::Shared;

/// Serialises refusals as HTTP/1.1 replies.
#[derive(Clone)]
pub struct Refusals {
    api: Shared,
    ids: RequestIds,
}

impl Refusals {
    /// Refusals for the service of `api`.
    pub fn new(api: Shared) -> Refusals {
        Refusals { api, ids: RequestIds::new() }
    }

    /// The whole reply to a request that the server cannot parse, for example 431. The reply closes the connection.
    pub fn write(&self, problem: &Problem) -> Vec<u8> {
        let snapshot = self.api.registry.snapshot();
        let id = self.ids.make();
        let id = id.to_str().unwrap_or_default();
        let body = problem.text(None, Some(id));
        let mut text = format!(
            "HTTP/1.1 {}\r\n{X_REQUEST_ID}: {id}\r\n{REGISTRY_STORE}: {}\r\n{REGISTRY_REVISION}: {}\r\ncontent-length: {}\r\n",
            problem.status(),
            snapshot.store,
            snapshot.state.revision(),
            body.len(),
        )
        .into_bytes();
        for (name, value) in &problem.clone().closing().headers() {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&body);
        text
    }
}
