//! What every test stands on: a real server, a client that trusts nothing, and raw sockets.
//!
//! | file | what it gives |
//! |---|---|
//! | [`server`] | [`Server`]: the service in this process, on port 0 and a fresh store |
//! | [`durable`] | [`Durable`]: a store of a test's own, SQLite or PostgreSQL |
//! | [`client`] | [`Client`]: asserts status, content type, headers and error shape on every call |
//! | [`bearers`] | [`Bearers`]: a token of each role, and the clients that show them |
//! | [`event_stream`] | [`EventStream`]: live events, read as a browser reads them |
//! | [`problem`] | [`Problem`]: an error reply, checked against RFC 9457 and our own promises |
//! | [`raw`] | [`RawConnection`]: bytes over TCP, for what no HTTP client would send |
//! | [`simulated_server`] | a server on a clock of ours, and the passes that are made over it |
//! | [`secure`] | [`Authority`]: certificates, TLS, HTTP/2 |
//! | [`process`] | [`Daemon`]: the real binary as a child process |
//! | [`receiver`] | a target of webhooks, which answers as it is told |
//! | [`collector`] | a collector of traces (OTLP) |
//! | [`faulty_journal`] | a journal that fails, panics or waits on command |
//! | [`machine`] | [`Machine`]: the pure core alone |
//! | [`trace`] | [`Trace`]: everything a reader can see, to show that a refusal left none |
//! | [`samples`] | documents to register |
//!
//! Nothing here sleeps or tries again: what has to be awaited is awaited, within [`PATIENCE`].

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

/// How long anything may take before it counts as a hang. Much more than it ever takes.
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

/// Does blocking work (a child process, a database of our own) off the runtime's thread.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    within_patience("blocking work", tokio::task::spawn_blocking(work)).await.expect("the work panicked")
}
