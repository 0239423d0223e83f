//! The registry at runtime: the one writer, the snapshots, and the periodic tasks.
//!
//! ```text
//! Registry::submit(Request) ─▶ prechecks ─▶ writer: decide ─▶ Change ─▶ apply ─▶ journal commit ─▶ publish ─▶ Outcome
//! Registry::snapshot() ─▶ State ─▶ query
//! ```
//!
//! The crate `domain` has the rules, and [`crate::store`] the journals.
//!
//! | file | idea |
//! |---|---|
//! | [`handle`] | [`Registry`]: the handle for the rest of the program |
//! | [`submit_error`], [`health`] | why a command failed; whether the writer can write |
//! | [`prechecks`] | the expensive checks before the writer |
//! | [`queue`], [`writer`], [`trace`](mod@trace) | decides, commits, publishes; the spans of a command |
//! | [`watch`] | topics and subscriptions |
//! | [`journal_reader`], [`journal_cache`], [`journal_error`] | reading the journal, for one reader and for many |
//! | [`spans`], [`counting`] | what was held when; changes in steps of time |
//! | [`costs`], [`budget_monitor`] | queries about costs; the task that checks the thresholds of budgets |
//! | [`fair_pool`], [`bounded_history`] | threads for the long work of clients, shared fairly; their reads of the journal |
//! | [`leases`], [`heartbeats`] | renewals and other heartbeats, which are not part of the history |
//! | [`clock_watch`], [`aging`] | the wall clock and the steady one; the age of what the store keeps |
//! | [`forgetting`] | drops what is too old |
//! | [`observe`] | reports of probes and agents |
//! | [`sweep`], [`assessment`] | the effects of passing time |
//! | [`backup`] | a backup during operation |
//! | [`metrics`](mod@metrics), [`freshness`] | the metrics of the writer; how old the newest snapshot may be |

mod aging;
pub mod backup;
pub mod budget_monitor;
pub mod clock_watch;
pub mod costs;
pub mod fair_pool;
mod forgetting;
pub mod freshness;
pub mod health;
pub mod heartbeats;
pub mod journal_cache;
pub mod journal_error;
pub mod journal_reader;
pub mod metrics;
pub mod observe;
pub mod prechecks;
pub mod spans;
pub mod submit_error;
pub mod sweep;
pub mod watch;
pub mod writer;

mod assessment;
mod bounded_history;
mod counting;
mod handle;
mod leases;
mod limits;
mod queue;
mod trace;

pub use self::budget_monitor::BudgetMonitor;
pub use self::observe::ReportResult;
pub use handle::{Pending, Registry};
pub use health::WriterHealth;
pub use submit_error::SubmitError;
pub use sweep::Sweeper;
