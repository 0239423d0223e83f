//! Tracks the requests of an HTTP/2 connection, and decides when the connection must end.
//!
//! An HTTP/1.1 connection has one request at a time, so the bytes show who must send next. HTTP/2 mixes many requests
//! with control frames. A client can therefore stay busy without a request, or request replies without reading them. So
//! the server watches requests, not bytes:
//!
//! - the connection had no request for longer than the idle time;
//! - a piece of a reply waited for the client longer than the write time;
//! - the client cancelled many more requests than the server answered (CVE-2023-44487, "rapid reset").

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many more requests a client may cancel than the server has answered.
const MOST_GIVEN_UP: u32 = 100;

/// The largest piece of a reply. The next piece waits until the client has read this one.
const PIECE: usize = 16 * 1024;

/// The requests of a connection.
#[derive(Debug)]
pub struct Streams {
    idle_time: Duration,
    write_time: Duration,
    now: Mutex<Now>,
    rapid_reset: Notify,
}

#[derive(Debug)]
struct Now {
    /// The requests in progress, by number. The time says since when a piece of the reply waits for the client.
    under_way: HashMap<u64, Option<Instant>>,
    next: u64,
    /// Since when the connection has no request.
    idle_since: Instant,
    /// How long the connection may have no request. Shorter before the first request.
    idle_time: Duration,
    given_up: u32,
}

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The connection had no request for too long.
    Idle,
    /// The client does not read a reply.
    Stalled,
    /// The client cancels requests as fast as it sends them.
    Hasty,
}

impl Streams {
    /// Tracks a new connection, whose first request must arrive within `first_time`.
    pub fn new(first_time: Duration, idle_time: Duration, write_time: Duration) -> Arc<Streams> {
        let now =
            Now { under_way: HashMap::new(), next: 0, idle_since: Instant::now(), idle_time: first_time, given_up: 0 };
        Arc::new(Streams { idle_time, write_time, now: Mutex::new(now), rapid_reset: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the arrival of a request.
    pub fn begin(self: &Arc<Streams>) -> UnderWay {
        let mut now = self.lock();
        let number = now.next;
        now.next += 1;
        now.idle_time = self.idle_time;
        now.under_way.insert(number, None);
        drop(now);
        UnderWay { streams: Arc::clone(self), number, is_answered: false }
    }

    /// Until when the connection is acceptable if nothing changes.
    ///
    /// # Errors
    ///
    /// When the connection must end.
    pub fn good_until(&self, time: Instant) -> Result<Instant, Verdict> {
        let now = self.lock();
        if now.given_up > MOST_GIVEN_UP {
            return Err(Verdict::Hasty);
        }
        if now.under_way.is_empty() {
            let until = now.idle_since + now.idle_time;
            return if until <= time { Err(Verdict::Idle) } else { Ok(until) };
        }
        let oldest = now.under_way.values().flatten().min();
        // No notification follows when a piece begins to wait, so the check must not be later than the earliest
        // possible deadline.
        let until = oldest.map_or(time, |since| *since) + self.write_time;
        // The end of the last request sends no notification either, so the check must not be later than the idle time.
        if until <= time { Err(Verdict::Stalled) } else { Ok(until.min(time + now.idle_time)) }
    }

    /// Returns once the client has cancelled so many requests that [`Streams::good_until`] should be called again.
    pub async fn turned_hasty(&self) {
        self.rapid_reset.notified().await;
    }
}

/// A request in progress, which ends on drop.
#[derive(Debug)]
pub struct UnderWay {
    streams: Arc<Streams>,
    number: u64,
    is_answered: bool,
}

impl UnderWay {
    /// Records since when a piece of the reply waits for the client, or that none waits.
    fn waits(&self, since: Option<Instant>) {
        self.streams.lock().under_way.insert(self.number, since);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut now = self.streams.lock();
        now.under_way.remove(&self.number);
        if now.under_way.is_empty() {
            now.idle_since = Instant::now();
        }
        now.given_up = if self.is_answered { now.given_up.saturating_sub(1) } else { now.given_up + 1 };
        if now.given_up > MOST_GIVEN_UP {
            self.streams.rapid_reset.notify_one();
        }
    }
}

/// The body of a reply, sent in pieces, so that the server sees whether the client reads them.
#[derive(Debug)]
pub struct BodyPieces<B> {
    body: B,
    rest: Bytes,
    under_way: UnderWay,
}

impl<B: Body> BodyPieces<B> {
    /// The body of the reply to a request.
    pub fn of(body: B, mut under_way: UnderWay) -> BodyPieces<B> {
        // hyper never polls an empty body.
        under_way.is_answered = body.is_end_stream();
        BodyPieces { body, rest: Bytes::new(), under_way }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for BodyPieces<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            // hyper polls again only after the client has read the previous piece.
            this.under_way.waits(None);
            match ready!(Pin::new(&mut this.body).poll_frame(context)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => this.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    this.under_way.is_answered = true;
                    return Poll::Ready(None);
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.under_way.is_answered = this.is_end_stream();
        this.under_way.waits(Some(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    const FIRST: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);
    const WRITE: Duration = Duration::from_secs(30);

    fn streams() -> Arc<Streams> {
        Streams::new(FIRST, IDLE, WRITE)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle_after_its_time() {
        let (streams, began) = (streams(), Instant::now());
        assert_eq!(streams.good_until(began), Ok(began + FIRST));
        assert_eq!(streams.good_until(began + FIRST), Err(Verdict::Idle));
        let request = streams.begin();
        assert!(streams.good_until(began + IDLE * 2).is_ok(), "a request may take its time: it has others");
        tokio::time::advance(IDLE).await;
        drop(request);
        assert_eq!(streams.good_until(began + IDLE), Ok(began + IDLE * 2));
        assert_eq!(streams.good_until(began + IDLE * 2), Err(Verdict::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_ends_the_connection() {
        let (streams, began) = (streams(), Instant::now());
        let mut body = BodyPieces::of(Full::new(Bytes::from(vec![0; PIECE + 1])), streams.begin());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE);
        assert_eq!(streams.good_until(began), Ok(began + WRITE));
        assert_eq!(streams.good_until(began + WRITE), Err(Verdict::Stalled));
        tokio::time::advance(WRITE).await;
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1);
        assert!(body.is_end_stream());
        assert_eq!(streams.good_until(began + WRITE), Ok(began + WRITE * 2), "the first piece was taken");
        drop(body);
        assert_eq!(streams.good_until(began + WRITE), Ok(began + WRITE + IDLE), "and the last");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_given_up_count_against_those_that_are_answered() {
        let (streams, now) = (streams(), Instant::now());
        let answered = || async {
            let body = BodyPieces::of(Full::new(Bytes::from_static(b"x")), streams.begin());
            body.collect().await.unwrap();
        };
        for _ in 0..MOST_GIVEN_UP * 3 {
            drop(streams.begin());
            answered().await;
        }
        for _ in 0..MOST_GIVEN_UP {
            drop(streams.begin());
        }
        assert!(streams.good_until(now).is_ok());
        drop(streams.begin());
        assert_eq!(streams.good_until(now), Err(Verdict::Hasty));
        streams.turned_hasty().await;
    }

    #[tokio::test]
    async fn pieces_make_the_whole() {
        for length in [0, 1, PIECE, PIECE * 3 + 7] {
            let whole = Bytes::from((0..length).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>());
            let body = BodyPieces::of(Full::new(whole.clone()), streams().begin());
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            assert_eq!(body.collect().await.unwrap().to_bytes(), whole);
        }
    }
}
