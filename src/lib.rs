//! The plugin registry records every plugin of an application, the resources that the plugin holds, whether those
//! resources still exist, and their costs.
//!
//! A separate crate, [`domain`], has the rules. Read [`domain`] first, then the modules in this order; each layer uses
//! only the layers above it:
//!
//! 1. [`store`] keeps the journal; [`access`] authenticates requests;
//! 2. [`registry`] has the single writer, the snapshots and the timers; [`telemetry`] has traces and the log level;
//! 3. [`net`] has the outgoing HTTP client and restricts the addresses that the client may connect to;
//! 4. [`webhook`] sends changes to HTTP endpoints;
//! 5. [`liveness`] probes processes, containers and remote resources;
//! 6. [`dashboard`] has the files of the page at `/`;
//! 7. [`http`] has all routes, status codes and extractors; [`client`] sends requests to those routes;
//! 8. [`server`] accepts connections and limits them; [`cli`] is the command line.
//!
//! ARCHITECTURE.md lists the invariants and follows a request through the layers.

pub mod access;
pub mod cli;
pub mod client;
pub mod clock;
pub mod dashboard;
pub mod http;
pub mod liveness;
pub mod net;
pub mod registry;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod webhook;

mod failpoints;
