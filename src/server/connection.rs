//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::debug;

use super::admission::Place;
use super::guarded::{Exchange, Guarded, Phase};
use super::settings::Settings;
use crate::http::Api;
use crate::http::context::AmbiguousLength;
use crate::http::peer::Peer;
use crate::http::problem::{Kind, Problem};
use crate::http::refusal::Refusals;

/// The most bytes of a request's header.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// What all connections have in common.
#[derive(Clone)]
pub struct Connections {
    router: Router,
    refusals: Refusals,
    settings: Settings,
    stop: CancellationToken,
    http: http1::Builder,
}

impl Connections {
    /// Connections that are served by `router` until `stop`.
    pub fn new(router: Router, api: Api, settings: Settings, stop: CancellationToken) -> Connections {
        let mut http = http1::Builder::new();
        // Deadlines are kept by `Guarded`, which tells a slow header from an idle connection.
        http.timer(TokioTimer::new()).header_read_timeout(None);
        // At most 100 fields, by hyper's default: naming the number makes it fill two arrays for every request.
        http.max_header_size(MAX_HEADER_BYTES);
        Connections { router, refusals: Refusals::new(api), settings, stop, http }
    }

    /// Serves a connection to its end.
    pub async fn serve(self, stream: TcpStream, address: IpAddr, _place: Place) {
        // Answers are written whole: waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY could not be set");
        }
        // A silent connection costs no more than its socket and this task.
        let first_byte = tokio::select! {
            first = tokio::time::timeout(self.settings.first_byte_time, stream.readable()) => first,
            () = self.stop.cancelled() => return,
        };
        if !matches!(first_byte, Ok(Ok(()))) {
            return;
        }
        let exchange = Arc::new(Exchange::default());
        let guarded = Guarded::new(stream, Arc::clone(&exchange), self.settings, self.refusals.clone());
        let peer = Peer(address.to_canonical());
        let service = hyper::service::service_fn(move |request| {
            answer(self.router.clone(), Arc::clone(&exchange), peer, request)
        });
        let mut connection = std::pin::pin!(self.http.serve_connection(TokioIo::new(guarded), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // The peer's doing, and nobody's concern unless one is looking.
            debug!(error = %error, "a connection ended early");
        }
    }

    /// Answers a connection for which there is no place, and closes it.
    pub fn turn_away(&self, stream: &TcpStream) {
        let problem = Problem::new(Kind::Unavailable, "too many connections are open")
            .with_retry_after(std::time::Duration::from_secs(1));
        // Written if the socket takes it at once; there is no place to wait.
        drop(stream.try_write(&self.refusals.write(&problem)));
    }
}

/// Answers one request.
async fn answer(
    router: Router,
    exchange: Arc<Exchange>,
    peer: Peer,
    mut request: hyper::Request<Incoming>,
) -> Result<Response<Tracked>, Infallible> {
    exchange.enter(Phase::Serving);
    if exchange.is_ambiguous() {
        request.extensions_mut().insert(AmbiguousLength);
    }
    request.extensions_mut().insert(peer);
    // A router is always ready, and never fails.
    let response = router.oneshot(request.map(axum::body::Body::new)).await.into_response();
    Ok(response.map(|body| Tracked { body, exchange }))
}

/// A body that tells the connection when it has ended.
struct Tracked {
    body: axum::body::Body,
    exchange: Arc<Exchange>,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.exchange.enter(Phase::Idle);
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
