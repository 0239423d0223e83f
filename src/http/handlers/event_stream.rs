//! Events as they happen: Server-Sent Events (WHATWG HTML, section 9.2).
//!
//! A stream keeps no queue. It knows how far it has come, and takes what follows from the topic that
//! it watches, or from the journal when it begins in the past.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use tokio::time::Instant;

use crate::access::Tokens;
use crate::http::media_type::EVENT_STREAM;
use crate::http::middleware::limiter::Permit;
use crate::http::problem::{Kind, Problem};
use crate::http::query::event_params::{EventList, EventScope};
use crate::http::query::params::revision_of;
use crate::http::state::Api;
use crate::registry::Registry;
use crate::registry::journal_cache::JournalChunk;
use crate::registry::journal_error::{JournalReadError, require_kept};
use crate::registry::watch::{Subscription, Updates};
use domain::access::Principal;
use domain::change::Transition;
use domain::change::history::ChangeRange;
use domain::query::Topic;
use domain::{Revision, Snapshot, StoreId};

/// The last event that a client has received.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How many changes are taken at a time: a reader that stops reading holds no more.
const AT_A_TIME: usize = 64;

/// Opens a stream.
///
/// # Errors
///
/// 400 for what a stream cannot do, 410 when it cannot begin where it is asked to.
pub async fn open(
    api: &Api,
    now: &Snapshot,
    watcher: Principal,
    events: EventList,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    events.require_live()?;
    let place = api.gate.watch()?;
    let begin = match headers.get(LAST_EVENT_ID) {
        Some(id) => Some(last_event(id.to_str().unwrap_or_default(), &now.store)?),
        None => events.begin,
    };
    let subscription = api.registry.topics().follow(&events.topic());
    let position = begin.unwrap_or(now.state.revision());
    if matches!(subscription.news(position, 0), Updates::Compacted(_)) {
        let nothing = ChangeRange { after: position, limit: 0, ..ChangeRange::default() };
        require_kept(position, api.registry.changes(nothing).await?.compact_revision)?;
    }
    let registry = api.registry.clone();
    let store = now.store.clone();
    let interval = api.limits.heartbeat;
    let heartbeat = Instant::now() + interval;
    let stage = StreamStage::Opening;
    let pass = Pass { tokens: api.access.tokens.clone(), watcher };
    let stream =
        Stream { registry, pass, store, events, subscription, position, interval, heartbeat, stage, _place: place };
    let body = futures_util::stream::unfold(stream, |mut stream| async move {
        let piece = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), stream))
    });
    let headers = [
        (CONTENT_TYPE, EVENT_STREAM),
        (CACHE_CONTROL, "no-cache"),
        // nginx gathers replies unless it is told not to.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The revision of a `Last-Event-ID`: `<store>-<revision>` as it was sent, or a revision alone.
fn last_event(id: &str, store: &StoreId) -> Result<Revision, Problem> {
    match id.rsplit_once('-') {
        Some((of, _)) if of != store.as_str() => {
            let detail =
                "the event is one of another store, or from before a backup was restored; list, and watch anew";
            Err(Problem::new(Kind::Gone, detail))
        }
        Some((_, revision)) => revision_of("Last-Event-ID", revision),
        None => revision_of("Last-Event-ID", id),
    }
}

/// What lets a watcher watch; it may end before the stream does.
struct Pass {
    tokens: Tokens,
    watcher: Principal,
}

impl Pass {
    fn holds(&self, registry: &Registry) -> bool {
        let ring = self.tokens.in_force();
        ring.as_ref().is_some_and(|ring| ring.still_admits(&self.watcher, registry.clock().now()))
    }
}

struct Stream {
    registry: Registry,
    pass: Pass,
    store: StoreId,
    events: EventList,
    subscription: Subscription,
    /// Everything up to here has been told.
    position: Revision,
    /// See [`crate::http::state::Limits::heartbeat`].
    interval: Duration,
    heartbeat: Instant,
    stage: StreamStage,
    /// Among those who watch.
    _place: Permit,
}

#[derive(PartialEq, Eq)]
enum StreamStage {
    /// Nothing has been sent.
    Opening,
    /// What happened before is being told.
    Past,
    /// The present has been reached.
    Live,
    /// The last piece has been sent.
    Ended,
}

impl Stream {
    /// The next piece of the body; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.stage == StreamStage::Opening {
            self.stage = StreamStage::Past;
            // So that a proxy sends the header on at once; and how soon to come back, in milliseconds.
            return Some(Bytes::from_static(b": watching\nretry: 3000\n\n"));
        }
        while self.stage != StreamStage::Ended {
            if !self.pass.holds(&self.registry) {
                return Some(self.cut_off("the token was revoked, or has expired").freeze());
            }
            let piece = match self.subscription.news(self.position, AT_A_TIME) {
                Updates::Compacted(_) if self.stage == StreamStage::Live => {
                    self.cut_off("this reader is too slow; come back with Last-Event-ID")
                }
                Updates::Compacted(floor) => self.catch_up(floor).await,
                Updates::Changes(transitions, reached) => {
                    let piece = self.frames(transitions.iter().map(|transition| &**transition));
                    let is_all = transitions.len() < AT_A_TIME;
                    self.position = reached;
                    if is_all {
                        self.stage = StreamStage::Live;
                    }
                    if piece.is_empty() && is_all { self.wait().await } else { piece }
                }
            };
            if !piece.is_empty() {
                self.heartbeat = Instant::now() + self.interval;
                return Some(piece.freeze());
            }
        }
        None
    }

    /// A part of what happened before the topic, which begins at `floor`.
    ///
    /// The topic of everything remembers the newest changes for all who come back; only what it has
    /// forgotten, too, is read from the journal.
    async fn catch_up(&mut self, floor: Revision) -> BytesMut {
        let everything = self.registry.topics().follow(&Topic::Everything);
        match everything.news(self.position, AT_A_TIME) {
            Updates::Changes(transitions, reached) => {
                let piece = self.frames(transitions.iter().map(|transition| &**transition));
                self.position = reached;
                // Others are to be served meanwhile.
                tokio::task::yield_now().await;
                piece
            }
            Updates::Compacted(remembered) => self.past(floor.min(remembered)).await,
        }
    }

    /// What happened up to `floor`, or a part of it, from the journal.
    async fn past(&mut self, floor: Revision) -> BytesMut {
        // Of one plugin, the journal has an index; what others ask for, many ask for at a time.
        let read = if self.events.range.subject.is_some() {
            self.of_subject(floor).await
        } else {
            self.registry.chunk(self.position, floor).await
        };
        match read {
            Ok(chunk) => {
                let news = chunk.transitions.iter().filter(|transition| transition.change.revision > self.position);
                let piece = self.frames(news.map(|transition| &**transition));
                self.position = chunk.reached;
                piece
            }
            Err(error) => self.cut_off(&error.to_string()),
        }
    }

    /// The changes of the plugin that is watched.
    async fn of_subject(&self, floor: Revision) -> Result<JournalChunk, JournalReadError> {
        // No further: memory holds the rest, and what is written meanwhile must not make the way longer.
        let (after, until) = (self.position, Some(floor));
        let range = ChangeRange { after, until, limit: AT_A_TIME, ..self.events.range.clone() };
        let page = self.registry.changes(range).await?;
        require_kept(after, page.compact_revision)?;
        let last = page.transitions.last().map(|last| last.change.revision);
        let reached = last.filter(|_| !page.is_all).unwrap_or(floor);
        Ok(JournalChunk { transitions: page.transitions.into(), reached })
    }

    /// Waits for news, and says now and then that the stream lives.
    async fn wait(&mut self) -> BytesMut {
        match tokio::time::timeout_at(self.heartbeat, self.subscription.wait()).await {
            Ok(true) => BytesMut::new(),
            Ok(false) => {
                self.stage = StreamStage::Ended;
                BytesMut::from(": the service is stopping\n\n")
            }
            // A block without data is no event, but its id is taken: who comes back skips what was of no concern.
            Err(_) => BytesMut::from(format!(": heartbeat\nid: {}-{}\n\n", self.store, self.position).as_bytes()),
        }
    }

    /// The last event of a stream that ends early.
    fn cut_off(&mut self, reason: &str) -> BytesMut {
        self.stage = StreamStage::Ended;
        let data = serde_json::json!({"reason": reason, "after": self.position});
        BytesMut::from(format!("event: cut_off\ndata: {data}\n\n").as_bytes())
    }

    fn frames<'a>(&self, transitions: impl Iterator<Item = &'a Transition>) -> BytesMut {
        let mut piece = BytesMut::new();
        for transition in transitions {
            let name = match self.events.sight(transition) {
                EventScope::Hidden => continue,
                EventScope::Change => "change",
                EventScope::Removal => "removal",
            };
            let head = format!("id: {}-{}\nevent: {name}\ndata: ", self.store, transition.change.revision);
            let json = transition.json(&self.store);
            piece.reserve(head.len() + json.len() + 2);
            piece.put_slice(head.as_bytes());
            piece.put_slice(json);
            piece.put_slice(b"\n\n");
        }
        piece
    }
}
