//! The two sides: the whole service, and `axum::serve` with one route. Each has its own threads in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::wire::{Answer, Connection};
use plugin_registry::clock::SystemClock;
use plugin_registry::http::state::Api;
use plugin_registry::registry::Registry;
use plugin_registry::server::settings::ServerSettings;
use plugin_registry::server::{self};
use plugin_registry::webhook::{self, Deliveries};

/// A server with its own runtime and port. Dropping it stops the server.
pub(crate) struct Server {
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    /// The name of its threads.
    pub(crate) name: &'static str,
    runtime: Option<Runtime>,
}

impl Server {
    /// The service with the whole middleware of production, on this number of threads.
    pub(crate) fn ours(name: &'static str, threads: usize, registry: Registry) -> anyhow::Result<Server> {
        Server::ours_with(name, threads, registry, Ok)
    }

    /// As [`Server::ours`], changed by `set`.
    pub(crate) fn ours_with(
        name: &'static str,
        threads: usize,
        registry: Registry,
        set: impl FnOnce(Api) -> anyhow::Result<Api>,
    ) -> anyhow::Result<Server> {
        let (runtime, listener) = listen(name, threads)?;
        let address = listener.local_addr()?;
        let api = {
            let _runtime = runtime.enter();
            let webhooks = Deliveries::start(
                registry.clone(),
                Arc::new(SystemClock),
                webhook::deliveries::DeliverySettings::default(),
            );
            set(Api::new(registry, webhooks))?
        };
        runtime.spawn(server::run(listener, api, patient(), std::future::pending()));
        Ok(Server { address, name, runtime: Some(runtime) })
    }

    /// Only `axum::serve`: it answers each request for `path` with `body`.
    pub(crate) fn bare(name: &'static str, threads: usize, path: &str, body: Bytes) -> anyhow::Result<Server> {
        let (runtime, listener) = listen(name, threads)?;
        let address = listener.local_addr()?;
        let answer = move || std::future::ready(([(CONTENT_TYPE, "application/json")], body.clone()));
        let router = Router::new().route(path, get(answer));
        // As the service does; the yardstick must not lose time to Nagle's algorithm.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Server { address, name, runtime: Some(runtime) })
    }

    /// A trace collector that discards everything.
    pub(crate) fn collector() -> anyhow::Result<Server> {
        let (runtime, listener) = listen("collector", 1)?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/v1/traces", post(|_: Bytes| std::future::ready(())));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Server { address, name: "collector", runtime: Some(runtime) })
    }

    /// The response body for a request.
    pub(crate) fn answer(&self, request: &[u8]) -> anyhow::Result<Bytes> {
        let mut connection = Connection::open(self.address)?;
        connection.send(request)?;
        let Answer { status, body } = connection.receive()?;
        ensure!(status == 200, "{} answered {status}: {}", self.name, String::from_utf8_lossy(body));
        Ok(Bytes::copy_from_slice(body))
    }
}

/// The limits of production, except that connections may be silent while the other side is measured: after a request,
/// and before the first one, which the server could take for a slow header.
fn patient() -> ServerSettings {
    let silence = Duration::from_mins(10);
    ServerSettings { first_byte_time: silence, header_time: silence, idle_time: silence, ..ServerSettings::default() }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn listen(name: &'static str, threads: usize) -> anyhow::Result<(Runtime, TcpListener)> {
    let runtime = Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).context("no port can be listened on")?;
    Ok((runtime, listener))
}
