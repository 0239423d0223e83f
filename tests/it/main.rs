//! The integration tests: the real server, over HTTP, on a fresh store for each test.
//!
//! | folder | subject |
//! |---|---|
//! | [`routes`], [`lists`] | each resource of the API; filters, order and pages |
//! | [`requests`] | what all routes share: bodies, headers, limits, connections |
//! | [`security`] | authentication, roles and scopes, secrets |
//! | [`store`] | commits, recovery, retention, moving a store |
//! | [`process`] | the binary, the agent, `exec`, and liveness probes |
//! | [`properties`] | properties of the service over any history |
//! | [`code`] | the code itself: layers, compatibility |
//!
//! [`harness`] has the server and the client that all of them use.
//!
//! A test that shows a bug is named after what went wrong.

#![expect(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, tells what it has measured, and is read more often than it is called"
)]

mod code;
mod harness;
mod lists;
mod process;
mod properties;
mod requests;
mod routes;
mod security;
mod store;
