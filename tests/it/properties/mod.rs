//! Properties of the service over any history, and of every parser of untrusted bytes. `crates/domain/tests/properties`
//! has the properties of the rules alone.
//!
//! | file | property |
//! |---|---|
//! | [`costs`] | any history costs the sum over its versions, however it is queried |
//! | [`parsers`] | no bytes make a parser panic, and each agrees with another implementation |
//! | [`truth`] | any order of leases, observations, restarts and clock jumps: a resource never seen gone stays |
//! | [`commands`] | the random commands of the other properties |

#[path = "../../../crates/domain/tests/properties/commands.rs"]
pub(crate) mod commands;
mod costs;
mod parsers;
mod truth;

use proptest::prelude::ProptestConfig;

/// The number of cases; failures are not written into the source tree.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
