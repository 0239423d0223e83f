//! The plugin registry: what every plugin of an application is, what it holds right now, whether
//! that is still true, and what it costs.
//!
//! The rules are a crate of their own, [`domain`]. Read it first, and then in this order; each layer uses only those above
//! it:
//!
//! 1. [`store`], where the journal is kept; [`access`], how requests are authenticated;
//! 2. [`registry`], the one writer, the snapshots, and what follows from time passing; [`telemetry`], traces and the log's level;
//! 3. [`net`], the outgoing HTTP client and the addresses that it may connect to;
//! 4. [`webhook`], changes sent by HTTP requests that this service makes;
//! 5. [`liveness`], what is still there: probes of processes, containers and remote resources;
//! 6. [`http`], all routes, status codes and extractors, and beside it [`client`], which asks them;
//! 7. [`server`], connections and their limits, and [`cli`], the command line.
//!
//! ARCHITECTURE.md has the invariants and the way of a request.

pub mod access;
pub mod cli;
pub mod client;
pub mod clock;
pub mod http;
pub mod liveness;
pub mod net;
pub mod registry;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod webhook;

mod failpoints;
