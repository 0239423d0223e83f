//! Several replicas of the real binary on one real PostgreSQL, and what happens to them: kills, pauses, a network that is
//! cut, a database that is down, killed, or replaced by an older copy of itself.
//!
//! | file | what it is |
//! |---|---|
//! | [`cluster`] | a PostgreSQL server of the test's own, killed and started again |
//! | [`network`] | the way from a replica to the database, which can be cut |
//! | [`replica`] | `plugin-registry serve`, and its client |
//! | [`linearizable`] | many clients at all replicas while everything fails; what they saw is checked by a checker that is not ours |
//! | [`consistency`] | what one replica's reader sees of another's writes |
//! | [`outages`] | the database is away: at the start, for a while, in the middle of a commit, or it comes back older |
//! | [`moving`] | a registry moves from SQLite to PostgreSQL and back |
//! | [`plans`] | how the database finds what it is asked for |
//! | [`tls`] | TLS to the database, by `sslmode` |
//! | [`webhooks`] | one of several replicas delivers |
//!
//! Run by `./tests/run postgres`, which installs the server; `cargo test` alone does not run it.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is a test, which fails by panicking and tells what it has measured"
)]

mod cluster;
mod consistency;
mod linearizable;
mod moving;
mod network;
mod outages;
mod plans;
mod replica;
mod tls;
mod webhooks;

use std::time::Duration;

/// How long anything may take before it counts as a hang.
const PATIENCE: Duration = Duration::from_mins(1);

/// Awaits `event`; a test that waits longer than [`PATIENCE`] fails instead of hanging.
async fn within_patience<F: Future>(what: &str, event: F) -> F::Output {
    let waited = tokio::time::timeout(PATIENCE, event).await;
    waited.unwrap_or_else(|_| panic!("{what}: nothing within {PATIENCE:?}"))
}
