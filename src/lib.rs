//! The plugin registry: what every plugin of an application is, what it holds right now, whether
//! that is still true, and what it costs.
//!
//! Read in this order; each layer uses only those above it:
//!
//! 1. [`plugin`], the vocabulary;
//! 2. [`access`], who may do what: tokens, roles, scopes;
//! 3. [`registry`], the rules, the state and the one writer, over the [`store`]; [`telemetry`], traces and the log's level;
//! 4. [`webhook`], changes told by HTTP requests that this service makes;
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
pub mod plugin;
pub mod registry;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod webhook;

mod planted;
