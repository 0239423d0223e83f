//! Live events as Server-Sent Events (WHATWG HTML, section 9.2).
//!
//! A stream has no queue, only a position. It reads the following changes from its topic, or from the journal when the
//! position is in the past.
//!
//! Every block has data. The standard discards a block without data, but many clients pass it on as an empty message.
//! So a comment is a single line, without the blank line that ends a block.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use tokio::time::Instant;

use super::event_pieces::EventPieces;
use crate::access::Tokens;
use crate::http::media_type::EVENT_STREAM;
use crate::http::middleware::limiter::Permit;
use crate::http::problem::Problem;
use crate::http::query::event_params::{EventList, EventScope, last_event};
use crate::http::query::params::bad;
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

/// The last event that the client received.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The delay before a client reconnects, in milliseconds.
const RETRY: u64 = 3_000;

/// How many changes a stream takes at a time. [`EventPieces`] bounds how many of them it sends at a time.
const AT_A_TIME: usize = 64;

/// Opens a live stream.
///
/// # Errors
///
/// 400 for unsupported parameters, 410 when the start was compacted.
pub async fn open(
    api: &Api,
    now: &Snapshot,
    watcher: Principal,
    events: EventList,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    events.require_live()?;
    let place = api.gate.watch()?;
    let begin = match headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        Some(id) => {
            let id = id.to_str().map_err(|_| bad("`Last-Event-ID` must be the `id` of an event"))?;
            Some(last_event("Last-Event-ID", id, &now.store)?)
        }
        None => events.begin,
    };
    let subscription = api.registry.topics().follow(&events.topic());
    let head = now.state.revision();
    let position = begin.unwrap_or(head);
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
    let stream = Stream {
        registry,
        pass,
        store,
        events,
        subscription,
        head,
        position,
        sent_id: position,
        interval,
        heartbeat,
        stage,
        pieces: EventPieces::default(),
        at_a_time: AT_A_TIME,
        _place: place,
    };
    let body = futures_util::stream::unfold(stream, |mut stream| async move {
        let piece = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), stream))
    });
    let headers = [
        (CONTENT_TYPE, EVENT_STREAM),
        (CACHE_CONTROL, "no-cache"),
        // nginx buffers replies by default.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The watcher's permission, which may end before the stream ends.
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
    /// The newest revision when the stream was opened.
    head: Revision,
    /// The stream has sent all changes up to here.
    position: Revision,
    /// The last id that the stream has sent: a client that reconnects continues after it.
    sent_id: Revision,
    /// See [`crate::http::state::Limits::heartbeat`].
    interval: Duration,
    heartbeat: Instant,
    stage: StreamStage,
    /// What waits to be sent.
    pieces: EventPieces,
    /// How many changes of a plugin to read at a time. After large ones fewer, because what is not sent is read again.
    at_a_time: usize,
    /// The permit for a live stream.
    _place: Permit,
}

#[derive(PartialEq, Eq)]
enum StreamStage {
    /// Before the first piece.
    Opening,
    /// Sending past changes.
    Past,
    /// Sending new changes.
    Live,
    /// After the last piece.
    Ended,
}

impl Stream {
    /// The next piece of the body; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.stage == StreamStage::Opening {
            self.stage = StreamStage::Past;
            return Some(self.hello());
        }
        if let Some(piece) = self.pieces.next() {
            return Some(piece);
        }
        while self.stage != StreamStage::Ended {
            if !self.pass.holds(&self.registry) {
                self.pieces = self.cut_off("the token was revoked or has expired; reconnect with a valid token");
                return self.pieces.next();
            }
            let piece = match self.subscription.news(self.position, AT_A_TIME) {
                Updates::Compacted(_) if self.stage == StreamStage::Live => {
                    self.cut_off("the client reads too slowly; reconnect with Last-Event-ID")
                }
                Updates::Compacted(floor) => self.catch_up(floor).await,
                Updates::Changes(transitions, reached) => {
                    let is_short = transitions.len() < AT_A_TIME;
                    let piece = self.frames(transitions.iter().map(|transition| &**transition), reached);
                    let is_all = is_short && self.position == reached;
                    if is_all {
                        self.stage = StreamStage::Live;
                    }
                    if piece.is_empty() && is_all { self.wait().await } else { piece }
                }
            };
            if !piece.is_empty() {
                self.heartbeat = Instant::now() + self.interval;
                self.pieces = piece;
                return self.pieces.next();
            }
        }
        None
    }

    /// A piece of the changes before `floor`, where the topic begins.
    ///
    /// The topic of all changes has the newest changes in memory for clients that reconnect. Only older changes are
    /// read from the journal.
    async fn catch_up(&mut self, floor: Revision) -> EventPieces {
        let everything = self.registry.topics().follow(&Topic::Everything);
        match everything.news(self.position, AT_A_TIME) {
            Updates::Changes(transitions, reached) => {
                let piece = self.frames(transitions.iter().map(|transition| &**transition), reached);
                // A long catch-up must not block other tasks.
                tokio::task::yield_now().await;
                piece
            }
            Updates::Compacted(remembered) => self.past(floor.min(remembered)).await,
        }
    }

    /// A piece of the changes up to `floor`, from the journal.
    async fn past(&mut self, floor: Revision) -> EventPieces {
        // The journal has an index for a plugin. All other streams share the chunks that they read.
        let read = if self.events.range.subject.is_some() {
            self.of_subject(floor).await
        } else {
            self.registry.chunk(self.position, floor).await
        };
        match read {
            Ok(chunk) => {
                let position = self.position;
                let news = chunk.transitions.iter().filter(|transition| transition.change.revision > position);
                self.frames(news.map(|transition| &**transition), chunk.reached)
            }
            Err(error) => self.cut_off(&error.to_string()),
        }
    }

    /// Changes of the watched plugin.
    async fn of_subject(&self, floor: Revision) -> Result<JournalChunk, JournalReadError> {
        // Memory has the changes after `floor`. Reading on would never end while the writer adds changes.
        let (after, until) = (self.position, Some(floor));
        let range = ChangeRange { after, until, limit: self.at_a_time, ..self.events.range.clone() };
        let page = self.registry.changes(range).await?;
        require_kept(after, page.compact_revision)?;
        let last = page.transitions.last().map(|last| last.change.revision);
        let reached = last.filter(|_| !page.is_all).unwrap_or(floor);
        Ok(JournalChunk { transitions: page.transitions.into(), reached })
    }

    /// The first piece, which makes proxies forward the header at once. Its id lets a client that is cut off before the
    /// first change continue where it began.
    fn hello(&self) -> Bytes {
        let data = serde_json::json!({
            "store": self.store, "revision": self.head, "version": env!("CARGO_PKG_VERSION"),
        });
        format!("id: {}-{}\nevent: hello\ndata: {data}\nretry: {RETRY}\n\n", self.store, self.position).into()
    }

    /// Waits for changes, and sends a heartbeat when none arrive.
    async fn wait(&mut self) -> EventPieces {
        match tokio::time::timeout_at(self.heartbeat, self.subscription.wait()).await {
            Ok(true) => EventPieces::default(),
            Ok(false) => {
                self.stage = StreamStage::Ended;
                EventPieces::of(": the service is stopping\n")
            }
            Err(_) => self.heartbeat(),
        }
    }

    /// A comment; or a bookmark if the stream has passed changes that do not match. A client that reconnects then skips
    /// these changes, and its id is not compacted while the stream is open.
    fn heartbeat(&mut self) -> EventPieces {
        if self.sent_id == self.position {
            return EventPieces::of(": heartbeat\n");
        }
        self.sent_id = self.position;
        let data = serde_json::json!({"revision": self.position});
        EventPieces::of(format!("id: {}-{}\nevent: bookmark\ndata: {data}\n\n", self.store, self.position))
    }

    /// The last event of a stream that the server ends early.
    fn cut_off(&mut self, reason: &str) -> EventPieces {
        self.stage = StreamStage::Ended;
        let data = serde_json::json!({"reason": reason, "after": self.position});
        EventPieces::of(format!("event: cut_off\ndata: {data}\n\n"))
    }

    /// The frames of changes up to `reached`, as far as they may wait. The position is then after the last of them.
    fn frames<'a>(&mut self, transitions: impl Iterator<Item = &'a Transition>, reached: Revision) -> EventPieces {
        let mut pieces = EventPieces::default();
        let mut taken = 0;
        for transition in transitions {
            taken += 1;
            let name = match self.events.sight(transition) {
                EventScope::Hidden => continue,
                EventScope::Change => "change",
                EventScope::Removal => "removal",
            };
            self.sent_id = transition.change.revision;
            let head = format!("id: {}-{}\nevent: {name}\ndata: ", self.store, self.sent_id);
            pieces.put(head.as_bytes());
            pieces.put_event(transition.json(&self.store));
            pieces.put(b"\n\n");
            if pieces.are_enough() {
                self.position = transition.change.revision;
                self.at_a_time = taken;
                return pieces;
            }
        }
        self.position = reached;
        self.at_a_time = (2 * self.at_a_time).min(AT_A_TIME);
        pieces
    }
}
