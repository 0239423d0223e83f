//! Properties of the pure core and of every parser of untrusted bytes, through the public API.
//!
//! | file | what holds |
//! |---|---|
//! | [`access`] | any sequence of commands by anybody: nobody changes what is not theirs |
//! | [`core`] | any sequence of commands: gapless revisions, refusals without a trace, replay, indexes |
//! | [`costs`] | any history costs what its versions cost, however it is asked for |
//! | [`lists`] | an index answers what a full scan does; pages are the whole |
//! | [`parsers`] | no bytes make a parser panic, and each agrees with another implementation |
//! | [`truth`] | any order of leases, sightings, restarts and jumps of the clock: what was never seen gone stays |
//! | [`commands`] | the commands that the others are about |

mod access;
pub(crate) mod commands;
mod core;
mod costs;
mod lists;
mod parsers;
mod truth;

use proptest::prelude::ProptestConfig;

/// So many cases; failures are not written into the source tree.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
