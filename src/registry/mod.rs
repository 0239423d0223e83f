//! The registry at work: the one writer, the snapshots, and what happens by itself as time passes.
//!
//! ```text
//! Registry::submit(Request) ─▶ prechecks ─▶ writer: decide ─▶ Change ─▶ apply ─▶ journal commit ─▶ publish ─▶ Outcome
//! Registry::snapshot() ─▶ State ─▶ query
//! ```
//!
//! The rules are in the crate `domain`; where the journal is kept, in [`crate::store`].
//!
//! | file | idea |
//! |---|---|
//! | [`handle`] | [`Registry`]: the registry as the rest of the program holds it |
//! | [`submit_error`], [`health`] | why a command came to nothing; whether the writer can write |
//! | [`prechecks`] | the expensive checks, made before the writer |
//! | [`queue`], [`writer`], [`trace`](mod@trace) | decides, commits, publishes; what of that is told in traces |
//! | [`watch`] | who is told of changes |
//! | [`journal_reader`], [`journal_cache`], [`journal_error`] | reading the journal, for one and for many |
//! | [`costs`], [`budget_monitor`] | what was spent; the task that looks whether a budget has reached a threshold |
//! | [`leases`], [`heartbeats`] | renewals, and other signs of life that are no part of the history |
//! | [`observe`] | what probes and agents report |
//! | [`sweep`], [`assessment`], [`on_gone`] | what follows from time passing |
//! | [`backup`] | all that is kept, told while it is written to |
//! | [`metrics`](mod@metrics), [`freshness`] | what is counted and timed; how old the newest snapshot may be |

pub mod backup;
pub mod budget_monitor;
pub mod costs;
pub mod freshness;
pub mod health;
pub mod heartbeats;
pub mod journal_cache;
pub mod journal_error;
pub mod journal_reader;
pub mod metrics;
pub mod observe;
pub mod on_gone;
pub mod prechecks;
pub mod submit_error;
pub mod sweep;
pub mod watch;
pub mod writer;

mod assessment;
mod handle;
mod leases;
mod limits;
mod queue;
mod trace;

pub use self::budget_monitor::BudgetMonitor;
pub use self::observe::ReportResult;
pub use handle::{Pending, Registry};
pub use health::WriterHealth;
pub use on_gone::OnGone;
pub use submit_error::SubmitError;
pub use sweep::Sweeper;
