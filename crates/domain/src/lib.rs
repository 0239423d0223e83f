//! The rules of the plugin registry: plugins and their resources, the decisions on commands, and the effects of
//! changes.
//!
//! Everything here is pure: no clock, no randomness, no runtime, no store, no telemetry, no HTTP. Time and identities
//! are arguments, so that the same commands in the same order lead to the same state in every process.
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
//! | [`host`] | the names of hosts, and when two mean the same |
//! | [`plugin`] | the vocabulary: strict JSON, names, plugins |
//! | [`access`] | access control: roles, scopes, principals, tokens |
//! | [`revision`], [`money`], [`steps`] | positions in the history; amounts in whole millionths of a dollar; steps of time |
//! | [`lease`], [`active_leases`], [`self_preservation`] | one lease for each application process; their numbers; the rule that keeps an outage of a host from ending all its leases |
//! | [`record`] | a stored plugin: its document, its resources, their observations and findings |
//! | [`change`] | one entry of the journal, its effect, and its event |
//! | [`index`], [`price_index`] | indexes from properties to plugins, and resources by price, updated by every change |
//! | [`cost`] | the cost of plugins, and budgets |
//! | [`state`], [`snapshot`] | the state that a replay of the journal produces |
//! | [`query`] | lists of plugins and resources, counts, costs; the changes that could change an answer |
//! | [`command`] | commands, and the rules that decide them |

pub mod access;
pub mod active_leases;
pub mod change;
pub mod command;
pub mod cost;
pub mod host;
pub mod index;
pub mod lease;
pub mod money;
pub mod plugin;
pub mod price_index;
pub mod query;
pub mod record;
pub mod revision;
pub mod self_preservation;
pub mod snapshot;
pub mod state;
pub mod steps;

pub use lease::{Lease, LeaseId, LeaseState, LeaseTerms};
pub use money::{MicroUsd, Rate, Spend};
pub use revision::{EntityTag, Revision, StoreId};
pub use snapshot::Snapshot;
pub use state::{Category, State};
