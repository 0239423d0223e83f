//! What plugins cost, by their declared prices: an estimate, since no provider is asked for its bill.
//!
//! A plugin costs money from one change to the next, at its `estimated_cost_per_hour`, as long as the status of its
//! remote resource is one that a provider may be charging for. All of it is derived from the journal: what has ended is
//! summed up in the [`ledger`] by `State::apply`, what stands is read from the plugins.
//!
//! | file | idea |
//! |---|---|
//! | [`version`] | what a plugin has cost from one change to the next |
//! | [`ledger`] | what has ended, summed up: by plugin and by budget |
//! | [`totals`] | both together |
//! | [`statement`] | amounts by group |
//! | [`period`], [`budget`] | budgets |
//!
//! What was observed, and not only claimed, comes in at one place: [`Extent`], the end of a version.

pub mod budget;
pub mod ledger;
pub mod period;
pub mod statement;
pub mod totals;
pub mod version;

pub use self::ledger::{Accrual, Ledger};
pub use self::statement::StatementLine;
pub use budget::{Account, Budget, Reached};
pub use ledger::BudgetEvent;
pub use period::Period;
pub use statement::{GroupBy, Statement};
pub use version::{Extent, Window};
