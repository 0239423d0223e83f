//! How current a reply is: from a loaded snapshot, from the store's head if the client requests `strong`, and with its
//! age if the replica may be behind.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use tokio::time::Instant;

use crate::http::headers::REGISTRY_AGE;
use crate::http::operations::Operation;
use crate::http::problem::{Kind, Problem, out_of_time};
use crate::http::query::parameter::CONSISTENCY;
use crate::http::query::params::{Params, bad};
use crate::http::state::Api;
use crate::registry::freshness::OLD;
use crate::registry::health::WriterHealth;
use domain::Snapshot;

/// When a client should retry while the registry loads its store.
const START_PAUSE: Duration = Duration::from_secs(1);

/// The snapshot that a request reads from.
///
/// # Errors
///
/// 503 when the registry has not loaded its store, or the store does not answer; 400 for an unknown `consistency`.
pub async fn snapshot_for(
    api: &Api,
    operation: Option<&Operation>,
    method: &Method,
    uri: &Uri,
) -> Result<Arc<Snapshot>, Problem> {
    let is_of_service = operation.is_some_and(|operation| operation.is_of_service);
    if !is_of_service && asks_the_head(method, uri)? {
        let caught_up = tokio::time::timeout(api.limits.request_time, api.registry.catch_up());
        caught_up.await.map_err(|_| out_of_time())??;
    }
    let snapshot = api.registry.snapshot();
    if snapshot.is_loaded() || is_of_service { Ok(snapshot) } else { Err(not_read(api)) }
}

/// The problem while the registry has not loaded its store.
pub fn not_read(api: &Api) -> Problem {
    let why = match api.registry.health() {
        WriterHealth::Starting { reason, .. } => format!(": {reason}"),
        WriterHealth::Writable | WriterHealth::Failing { .. } => String::new(),
    };
    Problem::new(Kind::Unavailable, format!("the registry has not been read from its store yet{why}"))
        .with_retry_after(START_PAUSE)
}

/// Adds the age of the reply if the replica may be behind.
pub fn tell_age(api: &Api, now: Instant, headers: &mut HeaderMap) {
    let age = api.registry.freshness().age(now);
    if age >= OLD {
        headers.insert(REGISTRY_AGE, HeaderValue::from(age.as_secs()));
    }
}

fn asks_the_head(method: &Method, uri: &Uri) -> Result<bool, Problem> {
    let query = uri.query().unwrap_or_default();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if !is_read || !query.contains(CONSISTENCY.name) {
        return Ok(false);
    }
    match Params::parse(query)?.single(CONSISTENCY.name)? {
        Some("strong") => Ok(true),
        None | Some("local") => Ok(false),
        Some(_) => Err(bad("`consistency` must be `strong` or `local`")),
    }
}
