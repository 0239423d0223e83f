//! The core: all rules, the state, and the one writer.
//!
//! ```text
//! Registry::submit(Request) ─▶ vet ─▶ writer: decide ─▶ Change ─▶ apply ─▶ journal commit ─▶ publish ─▶ Outcome
//! Registry::snapshot() ─▶ State ─▶ query, resources, stats
//! ```
//!
//! | file | idea |
//! |---|---|
//! | [`revision`] | [`Revision`], [`StoreId`], entity tags |
//! | [`command`] | what can be asked, and how it can be refused |
//! | [`decide`] | the rules: what a command does to a state; pure |
//! | [`authority`] | whether the one who asks may do it; pure |
//! | [`change`] | [`Change`]: one entry of the journal |
//! | [`transition`], [`cloud_event`] | a change with what it changed; the event that tells of it |
//! | [`history`], [`past`], [`stretch`] | changes that were made, and the state that they had led to; reading them, for one and for many |
//! | [`idempotency`] | requests that may be sent again |
//! | [`backup`] | all that is kept, told while it is written to |
//! | [`retention`], [`quota`] | how long the journal is kept; how much the registry may hold |
//! | [`watch`], [`concern`] | who is told of changes, and of which |
//! | [`state`] | [`State`]: what the journal replays to; pure |
//! | [`cost`] | what plugins cost, and budgets |
//! | [`index`] | which plugins have a property, kept up to date by every change |
//! | [`document`] | [`Record`] and its JSON, serialised once |
//! | [`query`], [`sort`] | lists of plugins |
//! | [`filter_text`], [`filters`] | the filters of a list as texts, and in a document |
//! | [`resources`], [`resource_row`], [`stats`] | what is held, and as a row; counts |
//! | [`lease`], [`brake`], [`lease_rules`] | who holds it, and whether they live |
//! | [`observation`], [`observed_document`], [`observation_rules`] | what was seen of it |
//! | [`finding`] | what is wrong with it: claimed and seen, side by side; pure |
//! | [`vitals`] | signs of life that are no part of the history |
//! | [`observe`] | what probes and agents report |
//! | [`sweep`], [`rounds`] | what follows from time passing |
//! | [`vet`] | the expensive checks, done before the writer |
//! | [`inbox`], [`writer`], [`traced`] | decides, commits, publishes; what of that is told in traces |
//! | [`measures`] | what is counted and timed |
//! | [`freshness`] | how old the newest snapshot may be |

pub mod answer;
pub mod authority;
pub mod backup;
pub mod brake;
pub mod change;
pub mod cloud_event;
pub mod command;
pub mod concern;
pub mod cost;
pub mod decide;
pub mod decision;
pub mod document;
pub mod filter;
pub mod filter_text;
pub mod filters;
pub mod finding;
pub mod finding_rules;
pub mod freshness;
pub mod health;
pub mod history;
pub mod holder;
pub mod idempotency;
pub mod index;
pub mod lease;
pub mod measures;
pub mod observation;
pub mod observe;
pub mod observed_document;
pub mod on_gone;
pub mod outcome;
pub mod past;
pub mod prechecks;
pub mod query;
pub mod quota;
pub mod refusal;
pub mod resource;
pub mod resource_row;
pub mod resources;
pub mod retention;
pub mod revision;
pub mod schema_question;
pub mod snapshot;
pub mod sort;
pub mod state;
pub mod stats;
pub mod step;
pub mod stretch;
pub mod submit_error;
pub mod sweep;
pub mod topic;
pub mod transition;
pub mod vet;
pub mod vitals;
pub mod watch;
pub mod writer;

mod handle;
mod inbox;
mod lease_rules;
mod leases;
mod observation_rules;
mod rounds;
mod traced;

pub use self::health::WriterHealth;
pub use self::on_gone::OnGone;
pub use self::outcome::Outcome;
pub use self::refusal::Refusal;
pub use self::snapshot::Snapshot;
pub use self::step::Step;
pub use self::submit_error::SubmitError;
pub use change::{Change, ChangeKind, Event};
pub use command::{Asker, Command, Precondition, Request};
pub use document::{PluginDocument, Record};
pub use finding::FindingKind;
pub use handle::{Pending, Registry};
pub use lease::{Lease, LeaseId, LeaseState, LeaseTerms};
pub use observation::{ObservedState, ResourceKey, Sighting};
pub use observe::Seen;
pub use quota::Quotas;
pub use retention::Retention;
pub use revision::{EntityTag, Revision, StoreId};
pub use state::{Category, State};
pub use sweep::Sweeper;
pub use transition::Transition;
