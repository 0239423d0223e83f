//! The snapshot that a read is answered from: the current state, the state after a change, or a past state.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use tokio::time::Instant;

use crate::clock::random_part_of;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::bad;
use crate::http::query::read_options::{Moment, ReadOptions};
use crate::http::state::Api;
use crate::registry::fair_pool::WorkCaller;
use crate::registry::watch::{Subscription, Updates};
use domain::query::{Interest, Topic};
use domain::{Revision, Snapshot};

/// The default of `wait` for `since`.
const WAIT: Duration = Duration::from_secs(30);

/// The default of `wait` for `min_revision`.
const CATCH_UP: Duration = Duration::from_secs(5);

/// How many changes are examined before the task yields.
const AT_A_TIME: usize = 64;

/// The snapshot that a read is answered from.
pub struct ReadView {
    /// This snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Whether the result has changed since the client's revision.
    is_news: bool,
    /// Whether this is the current state, not a past state.
    is_present: bool,
}

impl ReadView {
    /// Returns true if and only if this is the current state, not a past state.
    pub fn is_present(&self) -> bool {
        self.is_present
    }

    /// The reply that was built from the snapshot, or 304 when the result has not changed (RFC 9110 section 15.4.5).
    pub fn answer(&self, mut made: Response) -> Response {
        if self.is_news {
            return made;
        }
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        made.headers_mut().remove(CONTENT_TYPE);
        *response.headers_mut() = std::mem::take(made.headers_mut());
        response
    }
}

impl ReadOptions {
    /// The snapshot for a request that began with `now`. Waits as long as the options say, and reads the past at the
    /// caller's turn.
    ///
    /// # Errors
    ///
    /// 504 when the registry does not reach `min_revision` in time; 400 for a future moment; 410 for a compacted
    /// moment.
    pub async fn of(
        self,
        api: &Api,
        now: Arc<Snapshot>,
        concern: &impl Interest,
        caller: &WorkCaller,
    ) -> Result<ReadView, Problem> {
        if let Some(moment) = self.as_of {
            return Ok(ReadView { snapshot: as_of(api, now, moment, caller).await?, is_news: true, is_present: false });
        }
        let mut snapshot = now;
        if let Some(wanted) = self.min_revision.filter(|wanted| *wanted > snapshot.state.revision()) {
            snapshot = caught_up(api, wanted, self.wait.unwrap_or(CATCH_UP)).await?;
        }
        let Some(since) = self.since else { return Ok(ReadView { snapshot, is_news: true, is_present: true }) };
        let wait = self.wait.unwrap_or(WAIT);
        // The random part spreads the replies to clients that began together.
        let end = Instant::now() + wait + random_part_of(wait / 16);
        drop(snapshot);
        Ok(changed_after(api, since, end, concern).await)
    }
}

/// Waits until a relevant change after `since`, or until `end`, or until the service stops.
async fn changed_after(api: &Api, since: Revision, end: Instant, concern: &impl Interest) -> ReadView {
    let topics = api.registry.topics();
    // Subscribing to the narrow topic first leaves no gap between the two topics.
    let mut narrow = topics.follow(&concern.topic());
    let mut position = touched(&topics.follow(&Topic::Everything), since, concern).await;
    while let Some(reached) = position
        && tokio::time::timeout_at(end, narrow.wait()).await == Ok(true)
    {
        position = touched(&narrow, reached, concern).await;
    }
    if let Some(reached) = position {
        // A 304 reports up to which revision nothing has changed. Topics receive a change shortly after the snapshot.
        let snapshot = api.registry.snapshot();
        topics.reached(snapshot.state.revision()).await;
        if touched(&narrow, reached, concern).await.is_some() {
            return ReadView { snapshot, is_news: false, is_present: true };
        }
    }
    ReadView { snapshot: api.registry.snapshot(), is_news: true, is_present: true }
}

/// Examines the changes of a topic after `position`. Returns `None` when a relevant change was found or the topic has
/// been compacted, else the last examined revision.
async fn touched(topic: &Subscription, mut position: Revision, concern: &impl Interest) -> Option<Revision> {
    loop {
        let Updates::Changes(changes, reached) = topic.news(position, AT_A_TIME) else { return None };
        if changes.iter().any(|transition| concern.is_affected_by(transition)) {
            return None;
        }
        if changes.len() < AT_A_TIME {
            return Some(reached);
        }
        position = reached;
        // A long scan must not block other tasks.
        tokio::task::yield_now().await;
    }
}

async fn caught_up(api: &Api, wanted: Revision, wait: Duration) -> Result<Arc<Snapshot>, Problem> {
    let reached = tokio::time::timeout(wait, api.registry.topics().reached(wanted)).await;
    let snapshot = api.registry.snapshot();
    drop(reached);
    if snapshot.state.revision() < wanted {
        let detail = format!(
            "revision {wanted} was not reached in time; the current revision is {}; retry later",
            snapshot.state.revision()
        );
        return Err(Problem::new(Kind::Behind, detail).with_retry_after(CATCH_UP));
    }
    Ok(snapshot)
}

async fn as_of(api: &Api, now: Arc<Snapshot>, moment: Moment, caller: &WorkCaller) -> Result<Arc<Snapshot>, Problem> {
    let head = now.state.revision();
    let revision = match moment {
        Moment::Revision(revision) => revision,
        Moment::Time(time) if time >= now.state.at() => head,
        Moment::Time(time) => api.registry.revision_at(caller.clone(), time).await?,
    };
    match revision.cmp(&head) {
        std::cmp::Ordering::Greater => Err(bad(format!(
            "`as_of` reads the past, but {revision} is after revision {head}; wait for it with `min_revision`"
        ))),
        std::cmp::Ordering::Equal => Ok(now),
        std::cmp::Ordering::Less => Ok(api.registry.as_of(caller.clone(), now, revision).await?),
    }
}
