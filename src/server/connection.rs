//! Serves a connection from its first byte to its end.

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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::debug;

use super::admission::ConnectionPermit;
use super::http2::Http2;
use super::read_timeout::{Exchange, Phase, ReadTimeout};
use super::settings::ServerSettings;
use super::tls::{Tls, is_http2};
use super::write_timeout::WriteTimeout;
use crate::http::middleware::client_ip::ClientIp;
use crate::http::middleware::stack::AmbiguousLength;
use crate::http::problem::{Kind, Problem};
use crate::http::reply::refusal::Refusals;
use crate::http::state::Shared;
use crate::http::trailing_slash;
use crate::server::failure::Failure;
use crate::server::settings::MAX_HEADER_BYTES;

/// How many bytes of a connection hyper buffers. With hyper's default, ten thousand clients could claim six times as
/// much memory.
pub(crate) const MAX_BUFFERED_BYTES: usize = 64 * 1024;

/// The parts that all connections share.
#[derive(Clone)]
pub struct Connections {
    router: Router,
    refusals: Refusals,
    settings: ServerSettings,
    stop: CancellationToken,
    http1: http1::Builder,
    http2: Http2,
    tls: Option<Tls>,
}

impl Connections {
    /// Serves connections with `router` until `stop`. With `tls`, all connections must use TLS; without `tls`, none
    /// may.
    pub fn new(
        router: Router,
        api: Shared,
        settings: ServerSettings,
        stop: CancellationToken,
        tls: Option<Tls>,
    ) -> Connections {
        let mut http1 = http1::Builder::new();
        // hyper's timer cannot distinguish a slow header from an idle connection, but `ReadTimeout` can.
        http1.timer(TokioTimer::new()).header_read_timeout(None);
        // hyper's default is 100 fields. Setting the number explicitly makes hyper fill two arrays for every request.
        http1.max_header_size(MAX_HEADER_BYTES as usize);
        http1.max_buf_size(MAX_BUFFERED_BYTES);
        Connections { router, refusals: Refusals::new(api), settings, stop, http1, http2: Http2::new(settings), tls }
    }

    /// Serves a connection to its end.
    pub async fn serve(self, stream: TcpStream, address: IpAddr, _place: ConnectionPermit) {
        // Each reply is written at once, so Nagle's algorithm would only delay the reply.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        // Waiting here first means that a silent connection costs only its socket and this task.
        let first_byte = tokio::select! {
            first = tokio::time::timeout(self.settings.first_byte_time, stream.readable()) => first,
            () = self.stop.cancelled() => return,
        };
        if !matches!(first_byte, Ok(Ok(()))) {
            return;
        }
        let peer = ClientIp(address.to_canonical());
        let ended = if let Some(tls) = self.tls.clone() {
            // Boxed, so that connections without TLS do not reserve the memory of a TLS connection.
            Box::pin(self.serve_tls(&tls, stream, peer)).await
        } else {
            let stream = WriteTimeout::new(stream, self.settings.write_time);
            self.serve_http1(stream, peer).await
        };
        if let Err(error) = ended {
            // Usually the client's fault, so operators need this line only when they debug.
            debug!(%error, "connection ended early");
        }
    }

    async fn serve_tls(self, tls: &Tls, stream: TcpStream, peer: ClientIp) -> Result<(), Failure> {
        if tokio::time::timeout(self.settings.handshake_time, speaks_http(&stream)).await? {
            let problem =
                Problem::new(Kind::BadRequest, "this port requires TLS; use an address that begins with https://");
            self.refuse(&stream, &problem);
            return Ok(());
        }
        let stream = WriteTimeout::new(stream, self.settings.write_time);
        let stream = tokio::select! {
            accepted = tls.accept(stream, self.settings.handshake_time) => accepted?,
            () = self.stop.cancelled() => return Ok(()),
        };
        if is_http2(&stream) {
            let (http2, stop) = (self.http2.clone(), self.stop.clone());
            return http2.serve(stream, self.router, peer, stop).await;
        }
        self.serve_http1(stream, peer).await
    }

    async fn serve_http1<S>(self, stream: S, peer: ClientIp) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let exchange = Arc::new(Exchange::default());
        let guarded = ReadTimeout::new(stream, Arc::clone(&exchange), self.settings, self.refusals.clone());
        let service = hyper::service::service_fn(move |request| {
            answer(self.router.clone(), Arc::clone(&exchange), peer, request)
        });
        let mut connection = std::pin::pin!(self.http1.serve_connection(TokioIo::new(guarded), service));
        tokio::select! {
            ended = connection.as_mut() => ended?,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await?;
            }
        }
        Ok(())
    }

    /// Replies 503 to a connection beyond the limits, and closes it.
    pub fn turn_away(&self, stream: &TcpStream) {
        // A client that waits for a TLS handshake cannot read the reply.
        if self.tls.is_none() {
            let problem = Problem::new(Kind::Unavailable, "too many connections are open; retry later")
                .with_retry_after(std::time::Duration::from_secs(1));
            self.refuse(stream, &problem);
        }
    }

    fn refuse(&self, stream: &TcpStream, problem: &Problem) {
        // The reply is written only if the socket accepts it at once: waiting would need a permit.
        drop(stream.try_write(&self.refusals.write(problem)));
    }
}

/// Returns true if and only if the client's first byte looks like an HTTP request. A TLS handshake begins with a byte
/// that is not a letter (RFC 8446 section 5.1).
pub(crate) async fn speaks_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase()
}

/// Answers a request.
pub(crate) async fn answer(
    router: Router,
    exchange: Arc<Exchange>,
    peer: ClientIp,
    mut request: hyper::Request<Incoming>,
) -> Result<Response<Tracked>, Infallible> {
    exchange.enter(Phase::Serving);
    if exchange.is_ambiguous() {
        request.extensions_mut().insert(AmbiguousLength);
    }
    request.extensions_mut().insert(peer);
    trailing_slash::remove(request.uri_mut());
    // A router is always ready and never fails.
    let response = router.oneshot(request.map(axum::body::Body::new)).await.into_response();
    Ok(response.map(|body| Tracked { body, exchange }))
}

/// A response body that notifies the connection when it ends.
pub(crate) struct Tracked {
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
