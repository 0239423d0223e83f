//! The cost of plugins by their declared prices. This is an estimate: the registry does not query providers for bills.
//!
//! A remote resource costs its `estimated_cost_per_hour` from one change to the next, while its status lets a provider
//! charge for it, also after its plugin left it behind. A status without a known meaning costs from nothing to the price. Everything is derived from the journal: `State::apply` adds ended versions to the
//! [`ledger`], and current costs are computed from the plugins.
//!
//! | file | idea |
//! |---|---|
//! | [`version`] | the cost of a plugin from one change to the next |
//! | [`ledger`] | the cost of ended versions, by plugin and by budget |
//! | [`totals`] | ledger and current cost together |
//! | [`statement`], [`series`] | amounts by group; the same in steps of time |
//! | [`period`], [`budget`], [`account`], [`notice`] | budgets, their spending, and the events that the registry makes of them |
//!
//! Observations affect costs in one place: [`Extent`], the end of a version.

pub mod account;
pub mod budget;
pub mod ledger;
pub mod notice;
pub mod period;
pub mod series;
pub mod statement;
pub mod totals;
pub mod version;

pub use self::ledger::{Accrual, Ledger};
pub use self::statement::StatementLine;
pub use account::Account;
pub use budget::Budget;
pub use ledger::BudgetEvent;
pub use notice::{BurnCrossed, Notice, Projected, Reached};
pub use period::Period;
pub use statement::{GroupBy, Statement};
pub use version::{Extent, Window};
