//! The rules of the plugin registry: what plugins are and hold, what a command does, what a change leads to.
//!
//! Everything here is pure: no clock, no randomness, no runtime, no store, no telemetry, no HTTP. Time and identities come
//! in as arguments, so that the same commands in the same order lead to the same state, in every process.
//!
//! ```text
//! Request ─▶ decide(&State, …) ─▶ Decision ─▶ Change ─▶ State::apply ─▶ Transition ─▶ CloudEvents
//!                                                          └─▶ State ─▶ query
//! ```
//!
//! Read in this order; each folder uses those above it:
//!
//! | folder or file | idea |
//! |---|---|
//! | [`plugin`] | the vocabulary: strict JSON, names, plugins |
//! | [`access`] | who may do what: roles, scopes, principals, tokens |
//! | [`revision`], [`money`] | positions in the history; amounts in whole millionths of a dollar |
//! | [`lease`], [`self_preservation`] | one lease for each application process; the rule that keeps an outage of a host from ending all its leases |
//! | [`record`] | a plugin as it stands: its document, what it holds, what was observed of that, what was found |
//! | [`change`] | one entry of the journal, what it does, and the event that tells of it |
//! | [`index`] | which plugins have a property, kept up to date by every change |
//! | [`cost`] | what plugins cost, and budgets |
//! | [`state`], [`snapshot`] | what the journal replays to |
//! | [`query`] | lists of plugins and of what they hold, counts, costs; the changes that could change an answer |
//! | [`command`] | what can be asked, and the rules that decide it |

pub mod access;
pub mod change;
pub mod command;
pub mod cost;
pub mod index;
pub mod lease;
pub mod money;
pub mod plugin;
pub mod query;
pub mod record;
pub mod revision;
pub mod self_preservation;
pub mod snapshot;
pub mod state;

pub use lease::{Lease, LeaseId, LeaseState, LeaseTerms};
pub use money::{MicroUsd, Rate, Spend};
pub use revision::{EntityTag, Revision, StoreId};
pub use snapshot::Snapshot;
pub use state::{Category, State};
