//! Properties of the rules, over any sequence of commands.
//!
//! | file | property |
//! |---|---|
//! | [`access`] | any sequence of commands by any principal: no plugin or lease of another is changed |
//! | [`core`] | any sequence of commands: gapless revisions, refusals without a trace, replay, indexes |
//! | [`lists`] | an index returns the same as a full scan; the pages are the whole list |
//! | [`commands`], [`machine`] | arbitrary commands; a state, and the changes that led to it |
//!
//! The service's own tests use the last two as well.

#![expect(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, and is read more often than it is called"
)]

mod access;
mod commands;
mod core;
mod holdings;
mod lists;
mod machine;

use proptest::prelude::ProptestConfig;

/// The number of cases; failures are not written into the source tree.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
