//! Properties of the service over any history, and of every parser of untrusted bytes. Those of the rules alone are in
//! `crates/domain/tests/properties`.
//!
//! | file | what holds |
//! |---|---|
//! | [`costs`] | any history costs what its versions cost, however it is asked for |
//! | [`parsers`] | no bytes make a parser panic, and each agrees with another implementation |
//! | [`truth`] | any order of leases, sightings, restarts and jumps of the clock: what was never seen gone stays |
//! | [`commands`] | the commands that the others are about |

#[path = "../../../crates/domain/tests/properties/commands.rs"]
pub(crate) mod commands;
mod costs;
mod parsers;
mod truth;

use proptest::prelude::ProptestConfig;

/// So many cases; failures are not written into the source tree.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
