//! What plugins cost, by their declared prices: an estimate, since nobody asks a provider for its bill.
//!
//! A plugin costs money from one change to the next, at its `estimated_cost_per_hour`, as long as the status of its
//! remote resource is one that a provider may be charging for. All of it is derived from the journal: what has ended is summed up
//! in the [`books`] by `State::apply`, what stands is read from the plugins.
//!
//! | file | idea |
//! |---|---|
//! | [`money`] | [`MicroUsd`], [`Rate`], [`Spend`]: whole millionths, so that parts always make the whole |
//! | [`version`] | what a plugin has cost from one change to the next |
//! | [`books`] | what has ended, summed up: by plugin and by budget |
//! | [`statement`] | amounts by group |
//! | [`inquiry`] | what is asked for, and the reading of the journal where the books do not tell it |
//! | [`period`], [`budget`] | budgets |
//! | [`watchman`] | the task that looks whether a budget has reached a threshold |
//!
//! What was seen, and not only claimed, comes in at one place: [`Extent`], the end of a version.

pub mod books;
pub mod budget;
pub mod inquiry;
pub mod money;
pub mod period;
pub mod query;
pub mod statement;
pub mod totals;
pub mod version;
pub mod watchman;

pub use self::query::{Accrual, CostQuery};
pub use books::{Books, BudgetEvent, Meter};
pub use budget::{Account, Budget, Reached};
pub use money::{MicroUsd, Rate, Spend};
pub use period::Period;
pub use statement::{GroupBy, Line, Statement};
pub use version::{Extent, Window};
pub use watchman::Watchman;
