//! Accepts connections, limits them, and ends them.
//!
//! The accept loop uses hyper directly, because `axum::serve` never closes a silent or slow connection. HTTP/2 requires
//! TLS.
//!
//! | file | idea |
//! |---|---|
//! | [`settings`] | [`ServerSettings`]: every limit, and the cost of changing it |
//! | [`listeners`] | the sockets, one for each address |
//! | [`admission`] | the number of connections, in total and from each address |
//! | [`connection`] | a connection from its first byte to its end |
//! | [`tls`] | certificates, which are reloaded without closing connections; handshakes |
//! | [`certificate`] | reasons for which clients refuse a certificate |
//! | [`write_timeout`], [`deadline`] | a stream that fails when the client does not read |
//! | [`read_timeout`] | HTTP/1.1: a stream that fails when the client sends too slowly |
//! | [`smuggling`] | HTTP/1.1: requests that two servers could parse differently |
//! | [`http2`], [`streams`] | HTTP/2 connections and their requests |

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

/// How long to wait after `accept` failed, for example for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `api` on `listeners` until `shutdown` completes. Then lets running requests finish, within the grace period of
/// `settings`, and returns. The caller closes the store.
pub async fn run(
    listeners: impl Into<Listeners>,
    api: Api,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) {
    accept(listeners.into(), api, settings, None, shutdown).await;
}

/// Like [`run`], with TLS.
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
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listeners);
    info!(connections = tracker.len(), "stopping; waiting for running requests");
    stop.cancel();
    api.registry.end_watches();
    tracker.close();
    if tokio::time::timeout(settings.shutdown_grace, tracker.wait()).await.is_err() {
        warn!(connections = tracker.len(), "closed connections at the end of the grace period");
    }
}
