//! Serves an HTTP/2 connection with its limits and deadlines.
//!
//! | attack | defence |
//! |---|---|
//! | stay silent, or send a header slowly | no request for [`ServerSettings::idle_time`] closes the connection |
//! | send a body slowly | the body's time limit expires, as in HTTP/1.1: 408 |
//! | not read the reply | a piece that waits for [`ServerSettings::write_time`] closes the connection: [`super::streams`] |
//! | send requests and cancel them | more cancelled than answered requests close the connection |
//! | fill the queues of a connection | hyper and h2 limit them |

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::CONNECTION;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::debug;

use super::failure::Failure;
use super::settings::{MAX_HEADER_BYTES, ServerSettings};
use super::streams::{BodyPieces, Streams, Verdict};
use crate::http::middleware::client_ip::ClientIp;
use crate::http::middleware::stack::OversizedHeader;
use crate::http::trailing_slash;

/// How often the server pings a waiting client, and how long the client has to answer the ping.
const PING: Duration = Duration::from_secs(20);

/// The most header fields of a request, as in HTTP/1.1.
const MAX_FIELDS: usize = 100;

/// The size from which h2 refuses a header without a reply; smaller headers beyond the limit get a problem document.
const HOPELESS_HEADER_BYTES: u32 = 2 * MAX_HEADER_BYTES;

/// How many bytes of a reply may wait for the client, in addition to the kernel's buffers.
const MAX_SEND_BYTES: usize = 64 * 1024;

/// The flow-control windows: how many bytes a client may send before the service has read them, in all bodies and in
/// each body.
const RECEIVED_BYTES: u32 = 1024 * 1024;
const RECEIVED_BYTES_OF_ONE: u32 = 256 * 1024;

/// How many requests a client may cancel before they are accepted, or have reset for protocol errors, before the
/// connection is closed.
const MAX_RESETS: usize = 20;

/// How long a client has to react to GOAWAY.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves HTTP/2 connections.
#[derive(Clone)]
pub struct Http2 {
    builder: http2::Builder<TokioExecutor>,
    settings: ServerSettings,
}

impl Http2 {
    /// Serves HTTP/2 within the limits of `settings`.
    pub fn new(settings: ServerSettings) -> Http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(settings.max_streams)
            .max_header_list_size(HOPELESS_HEADER_BYTES)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .initial_connection_window_size(RECEIVED_BYTES)
            .initial_stream_window_size(RECEIVED_BYTES_OF_ONE)
            .max_send_buf_size(MAX_SEND_BYTES)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        Http2 { builder, settings }
    }

    /// Serves a connection to its end.
    pub(super) async fn serve<S>(
        self,
        stream: S,
        router: Router,
        peer: ClientIp,
        stop: CancellationToken,
    ) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let ServerSettings { header_time, idle_time, write_time, .. } = self.settings;
        let streams = Streams::new(header_time, idle_time, write_time);
        let counted = Arc::clone(&streams);
        let service =
            hyper::service::service_fn(move |request| answer(router.clone(), Arc::clone(&counted), peer, request));
        let mut connection = std::pin::pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut is_ending = false;
        loop {
            let look_again = match streams.good_until(Instant::now()) {
                Ok(until) => until,
                Err(Verdict::Idle) if !is_ending => {
                    connection.as_mut().graceful_shutdown();
                    is_ending = true;
                    Instant::now() + GOODBYE
                }
                Err(why) => {
                    debug!(?why, "connection closed");
                    return Ok(());
                }
            };
            tokio::select! {
                ended = connection.as_mut() => return Ok(ended?),
                () = stop.cancelled(), if !is_ending => {
                    connection.as_mut().graceful_shutdown();
                    is_ending = true;
                }
                () = streams.turned_hasty() => {}
                () = sleep_until(look_again) => {}
            }
        }
    }
}

/// Answers a request.
async fn answer(
    router: Router,
    streams: Arc<Streams>,
    peer: ClientIp,
    mut request: hyper::Request<Incoming>,
) -> Result<Response<BodyPieces<Body>>, Infallible> {
    let under_way = streams.begin();
    request.extensions_mut().insert(peer);
    if is_too_large(request.headers()) {
        request.extensions_mut().insert(OversizedHeader);
    }
    trailing_slash::remove(request.uri_mut());
    // A router is always ready and never fails.
    let mut response = router.oneshot(request.map(Body::new)).await.into_response();
    // HTTP/2 forbids this field (RFC 9113 section 8.2.2).
    response.headers_mut().remove(CONNECTION);
    Ok(response.map(|body| BodyPieces::of(body, under_way)))
}

fn is_too_large(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.len() > MAX_FIELDS || bytes > MAX_HEADER_BYTES as usize
}
