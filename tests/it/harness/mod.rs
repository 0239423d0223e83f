//! The base of every test: a real server, a client that checks everything, and raw sockets.
//!
//! | file | content |
//! |---|---|
//! | [`server`] | [`Server`]: the service in this process, on port 0 and a fresh store |
//! | [`durable`] | [`Durable`]: a store for one test, SQLite or PostgreSQL |
//! | [`client`] | [`Client`]: asserts status, content type, headers and error shape on every call |
//! | [`bearers`] | [`Bearers`]: a token for each role, and a client for each token |
//! | [`event_stream`] | [`EventStream`]: live events, parsed as a browser does |
//! | [`problem`] | [`Problem`]: an error response, checked against RFC 9457 and the API's own promises |
//! | [`raw`] | [`RawConnection`]: bytes over TCP, for requests that no HTTP client would send |
//! | [`simulated_server`] | a server on a simulated clock, and its assessment passes |
//! | [`secure`] | [`Authority`]: certificates, TLS, HTTP/2 |
//! | [`process`] | [`Daemon`]: the real binary as a child process |
//! | [`receiver`] | a webhook target with scripted responses |
//! | [`collector`] | a trace collector (OTLP) |
//! | [`faulty_journal`] | a journal that fails, panics or waits on command |
//! | [`machine`] | [`Machine`]: the pure core alone |
//! | [`trace`] | [`Trace`]: everything that a reader can see, to show that a refusal changed nothing |
//! | [`samples`] | documents to register |
//!
//! No test sleeps or retries: tests await events, within [`PATIENCE`].

pub(crate) mod bearers;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod durable;
pub(crate) mod event_stream;
pub(crate) mod faulty_journal;
#[path = "../../../crates/domain/tests/properties/machine.rs"]
pub(crate) mod machine;
pub(crate) mod problem;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod receiver;
pub(crate) mod samples;
pub(crate) mod secure;
pub(crate) mod server;
pub(crate) mod simulated_server;
pub(crate) mod trace;

use std::future::Future;
use std::time::Duration;

pub(crate) use bearers::Bearers;
pub(crate) use client::{Call, Client, Reply};
pub(crate) use collector::Collector;
pub(crate) use durable::Durable;
pub(crate) use event_stream::{EventStream, Received};
pub(crate) use machine::Machine;
pub(crate) use problem::Problem;
pub(crate) use process::Daemon;
pub(crate) use raw::RawConnection;
pub(crate) use samples::{holding_everything, minimal, named};
pub(crate) use secure::Authority;
pub(crate) use server::Server;
pub(crate) use trace::Trace;

/// How long an event may take before the test counts as hung. Events take far less.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits `event`; a test that waits longer than [`PATIENCE`] fails instead of hanging.
#[track_caller]
pub(crate) fn within_patience<F: Future>(what: &str, event: F) -> impl Future<Output = F::Output> + use<F> {
    let place = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        tokio::time::timeout(PATIENCE, event)
            .await
            .unwrap_or_else(|_| panic!("{place}: {what}: nothing within {PATIENCE:?}"))
    }
}

/// Runs blocking work (a child process, a database) off the runtime's thread.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    within_patience("blocking work", tokio::task::spawn_blocking(work)).await.expect("the work panicked")
}
