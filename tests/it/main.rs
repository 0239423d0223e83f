//! The integration tests: the real server, over HTTP, on a fresh store for each test.
//!
//! The modules mirror the routes; then come what all routes have in common, the store, the process,
//! and the properties of the core. [`harness`] has the server and the client that they all use.
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

mod harness;

// The routes.
mod budgets;
mod categories;
mod config;
mod container_id;
mod costs;
mod description;
mod event_stream;
mod events;
mod findings;
mod health;
mod idempotency;
mod leases;
mod log_level;
mod metrics;
mod observations;
mod plugin;
mod register;
mod remote_resource;
mod resources;
mod spawned_pids;
mod stats;
mod webhook_deliveries;
mod webhooks;
mod whois;

// Who may do what.
mod access;
mod authorization_matrix;
mod canary;
mod masking;
mod origin;
mod token_command;
mod tokens;

// Lists.
mod list;
mod list_order;
mod list_pages;

// What all routes have in common.
mod as_of;
mod bad_input;
mod conditional;
mod connection_limits;
mod cors;
mod http2;
mod long_poll;
mod ndjson;
mod negotiation;
mod quotas;
mod rates;
mod raw_http;
mod request_id;
mod security_headers;
mod shedding;
mod snapshots;
mod tls;
mod traces;
mod vectors;

// Writing, keeping, and the process.
mod archive;
mod backup;
mod backup_parts;
mod concurrency;
mod conformance;
mod failing_store;
mod moving;
mod order_of_commands;
mod process;
mod restart;
mod retention;
mod store_opening;
mod two_processes;
mod upgrade;
mod upgrades;
mod webhook_store;

// What is really still there.
mod agent;
mod exec;
mod liveness;

// The code itself.
mod compatibility;
mod layers;

// The pure core, by properties.
mod properties;
