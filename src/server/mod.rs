//! Connections: accepting them, bounding what they may take, and ending them.
//!
//! The accept loop is our own, on hyper's HTTP/1.1 connection, because `axum::serve` never closes a
//! silent or slow connection.
//!
//! | file | idea |
//! |---|---|
//! | [`settings`] | [`Settings`]: every limit, with its price |
//! | [`admission`] | how many connections, in all and from one address |
//! | [`connection`] | one connection from its first byte to its end |
//! | [`guarded`] | a stream that gives up on a peer that is too slow |
//! | [`smuggling`] | requests that two servers could read differently |

pub mod admission;
pub mod connection;
pub mod guarded;
pub mod settings;
pub mod smuggling;

use std::future::Future;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use settings::Settings;

use self::admission::Admission;
use self::connection::Connections;
use crate::http::{Api, router};

/// How long to wait after the system could not give us a connection (no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `api` on `listener` until `shutdown` completes; then finishes what runs, within the
/// grace of `settings`, and returns. The store is left open: closing it is for the caller.
pub async fn run(listener: TcpListener, api: Api, settings: Settings, shutdown: impl Future<Output = ()>) {
    let admission = Admission::new(settings.max_connections, settings.max_connections_per_address);
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    let connections = Connections::new(router(api.clone()), api.clone(), settings, stop.clone());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => match admission.admit(peer.ip()) {
                Some(place) => drop(tracker.spawn(connections.clone().serve(stream, peer.ip(), place))),
                None => connections.turn_away(&stream),
            },
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    info!(connections = tracker.len(), "stopping; finishing what runs");
    stop.cancel();
    api.registry.end_watches();
    tracker.close();
    if tokio::time::timeout(settings.shutdown_grace, tracker.wait()).await.is_err() {
        warn!(connections = tracker.len(), "connections were cut off at the end of the grace");
    }
}
