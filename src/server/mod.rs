//! Connections: accepting them, bounding what they may take, and ending them.
//!
//! The accept loop is our own, on hyper's connections, because `axum::serve` never closes a silent or slow
//! connection. HTTP/2 is spoken over TLS alone.
//!
//! | file | idea |
//! |---|---|
//! | [`settings`] | [`ServerSettings`]: every limit, with its price |
//! | [`listeners`] | the sockets, one for each address |
//! | [`admission`] | how many connections, in all and from one address |
//! | [`connection`] | one connection from its first byte to its end |
//! | [`tls`] | certificates, replaced while connections go on; handshakes |
//! | [`certificate`] | what clients will not like about a certificate |
//! | [`write_timeout`], [`deadline`] | a stream that gives up on a peer that takes nothing |
//! | [`read_timeout`] | HTTP/1.1: a stream that gives up on a peer that is too slow |
//! | [`smuggling`] | HTTP/1.1: requests that two servers could read differently |
//! | [`http2`], [`streams`] | HTTP/2, and what its requests are about |

pub mod admission;
pub mod certificate;
pub mod connection;
pub mod deadline;
mod failure;
pub mod http2;
pub mod listeners;
pub mod read_timeout;
pub mod settings;
pub mod smuggling;
pub mod streams;
pub mod tls;
pub mod write_timeout;

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::admission::Admission;
use self::connection::Connections;
pub use self::settings::ServerSettings;
use crate::http::router;
use crate::http::state::{Api, Shared};
pub use listeners::Listeners;
pub use tls::{Tls, TlsError, TlsFiles};

/// How long to wait after the system could not give us a connection (no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `api` on `listeners` until `shutdown` completes; then finishes what runs, within the
/// grace of `settings`, and returns. The store is left open: closing it is for the caller.
pub async fn run(
    listeners: impl Into<Listeners>,
    api: Api,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) {
    accept(listeners.into(), api, settings, None, shutdown).await;
}

/// As [`run`], over TLS.
pub async fn run_tls(
    listeners: impl Into<Listeners>,
    api: Api,
    settings: ServerSettings,
    tls: Tls,
    shutdown: impl Future<Output = ()>,
) {
    accept(listeners.into(), api, settings, Some(tls), shutdown).await;
}

async fn accept(
    mut listeners: Listeners,
    api: Api,
    settings: ServerSettings,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
) {
    let api = Shared::new(api);
    let admission = Admission::new(settings.max_connections, settings.max_connections_per_address);
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    let connections = Connections::new(router(api.clone()), api.clone(), settings, stop.clone(), tls);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let is_proxy = api.gate.proxies.is_trusted(peer.ip());
                let place = if is_proxy { admission.admit_proxy() } else { admission.admit(peer.ip()) };
                match place {
                    Some(place) => drop(tracker.spawn(connections.clone().serve(stream, peer.ip(), place))),
                    None => connections.turn_away(&stream),
                }
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listeners);
    info!(connections = tracker.len(), "stopping; finishing what runs");
    stop.cancel();
    api.registry.end_watches();
    tracker.close();
    if tokio::time::timeout(settings.shutdown_grace, tracker.wait()).await.is_err() {
        warn!(connections = tracker.len(), "connections were cut off at the end of the grace");
    }
}
