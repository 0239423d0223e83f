//! How much of each suite is run. `cargo test` should be done within a minute, so the defaults are small; the
//! counts that prove something are set by tests/run.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// How often the server is killed. `FAULTS_KILLS`, default 6, 50 in CI. One costs about a second.
pub(crate) fn kills() -> u64 {
    number("FAULTS_KILLS", 6)
}

/// How many disks are put together and opened after a power loss. `FAULTS_POWER_STATES`, default 300, at least
/// 5,000 in CI. A thousand cost about a quarter of a minute of one processor.
/// A quarter as many are examined after a disk that also failed.
pub(crate) fn power_states() -> u64 {
    number("FAULTS_POWER_STATES", 300)
}

/// At how many places of its script a disk fails, for each way of failing. `FAULTS_PLACES`, default 4 (drawn by the
/// seed), 150 in CI, which is every place of the short script. One costs about a quarter of a second.
pub(crate) fn places() -> u64 {
    number("FAULTS_PLACES", 4)
}

/// What every random choice of `test` follows from. `FAULTS_SEED`, default a new one each time; it is printed,
/// so that a failure can be had again (as far as the scheduling of threads allows).
pub(crate) fn seed(test: &str) -> u64 {
    // The one source of randomness in std that needs no dependency.
    let seed = number("FAULTS_SEED", RandomState::new().hash_one(test) >> 16);
    eprintln!("{test}: FAULTS_SEED={seed}");
    seed
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")),
        Err(_) => default,
    }
}
