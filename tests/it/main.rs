//! The integration tests: the real server, over HTTP, on a fresh store for each test.
//!
//! | folder | what is tried |
//! |---|---|
//! | [`routes`], [`lists`] | each resource of the API; filters, order and pages |
//! | [`requests`] | what all routes have in common: bodies, headers, limits, connections |
//! | [`security`] | who may do what |
//! | [`store`] | writing, keeping, moving |
//! | [`process`] | the binary, the agent, `exec`, and what is really still there |
//! | [`properties`] | properties of the service over any history |
//! | [`code`] | the code itself: layers, compatibility |
//!
//! [`harness`] has the server and the client that they all use.
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
