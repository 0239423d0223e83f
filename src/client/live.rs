//! Live events: `GET /events` as `text/event-stream`.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use eventsource_stream::{EventStreamError, Eventsource as _};
use futures_util::{Stream, StreamExt as _};
use hyper::header::ACCEPT;

use super::{Call, Client, ClientError, REQUEST_TIME};
use crate::net::RequestError;
use crate::net::http_client::{Body, next_piece, whole};

/// The longest silence: the registry sends a comment or a bookmark every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

type Events = Pin<Box<dyn Stream<Item = Result<eventsource_stream::Event, EventStreamError<RequestError>>> + Send>>;

/// A stream of live events.
pub struct Live {
    server: String,
    events: Events,
}

/// A message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    /// `hello`, `change`, `removal`, `bookmark` or `cut_off`.
    pub name: String,
    /// The revision after which a new stream goes on.
    pub id: String,
    /// JSON.
    pub data: String,
}

impl Client {
    /// Follows changes. The call has the filters, and where to begin.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn follow(&self, call: Call) -> Result<Live, ClientError> {
        let request = self.with_credential(self.request(&call.header(ACCEPT, "text/event-stream"))?);
        let begun = tokio::time::timeout(REQUEST_TIME, self.http.send(request)).await;
        let answer =
            begun.unwrap_or(Err(RequestError::Late(REQUEST_TIME))).map_err(|source| self.unreachable(source))?;
        if !answer.status().is_success() {
            let refusal = whole(answer, usize::MAX).await.map_err(|source| self.unreachable(source))?;
            return Err(ClientError::refused(self.base.as_str(), refusal.status().as_u16(), refusal.body()));
        }
        let events = pieces(answer.into_body()).eventsource();
        Ok(Live { server: self.base.to_string(), events: Box::pin(events) })
    }
}

fn pieces(body: Body) -> impl Stream<Item = Result<Bytes, RequestError>> + Send {
    futures_util::stream::unfold(Some(body), |body| async {
        let mut body = body?;
        let next = tokio::time::timeout(SILENCE, next_piece(&mut body)).await;
        match next.unwrap_or(Err(RequestError::Late(SILENCE))) {
            Ok(Some(piece)) => Some((Ok(piece), Some(body))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

impl Live {
    /// The next message; `None` if the stream has ended.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    pub async fn next(&mut self) -> Result<Option<LiveEvent>, ClientError> {
        match self.events.next().await {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(LiveEvent { name: event.event, id: event.id, data: event.data })),
            Some(Err(EventStreamError::Transport(source))) => {
                Err(ClientError::Unreachable { server: self.server.clone(), source })
            }
            Some(Err(error)) => Err(ClientError::Answer(error.to_string())),
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("server", &self.server).finish_non_exhaustive()
    }
}
