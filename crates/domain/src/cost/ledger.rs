//! The ledger: the cost of all versions that have ended. It is part of the state and derived from changes alone.
//!
//! The cost since a plugin's newest change is computed from the plugin itself; the ledger holds the sum of everything
//! before. So the work for a response depends on its size, and not on the length of the history.

use std::sync::Arc;

use jiff::Timestamp;
use rpds::RedBlackTreeMapSync;

use super::account::Account;
use super::budget::Budget;
use super::notice::Notice;
use super::version::{Window, spend};
use crate::money::Spend;
use crate::plugin::PluginKey;
use crate::record::Record;
use crate::revision::Revision;

/// A change to a budget.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetEvent {
    /// An admin created or changed it.
    Saved(Arc<Budget>),
    /// An admin removed it.
    Removed,
    /// The registry reports something about it.
    Told(Box<Notice>),
}

/// The cost of a plugin up to its newest change, whether the plugin still exists or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accrual {
    /// The amount.
    pub closed: Spend,
    /// When the plugin first cost money.
    pub began: Timestamp,
    /// When the newest costing version ended.
    pub ended: Timestamp,
}

/// All accruals and budgets. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    accruals: RedBlackTreeMapSync<PluginKey, Accrual>,
    budgets: RedBlackTreeMapSync<Box<str>, Arc<Account>>,
}

impl Ledger {
    /// The ledger from a store.
    pub fn restore(
        accruals: impl IntoIterator<Item = (PluginKey, Accrual)>,
        budgets: impl IntoIterator<Item = (Box<str>, Account)>,
    ) -> Ledger {
        let budgets = budgets.into_iter().map(|(id, account)| (id, Arc::new(account)));
        Ledger { accruals: accruals.into_iter().collect(), budgets: budgets.collect() }
    }

    /// The cost of every plugin that has ever cost money. Removed plugins are included: spent money stays spent.
    pub fn accruals(&self) -> &RedBlackTreeMapSync<PluginKey, Accrual> {
        &self.accruals
    }

    /// Every budget, by its id.
    pub fn budgets(&self) -> &RedBlackTreeMapSync<Box<str>, Arc<Account>> {
        &self.budgets
    }

    /// Adds the cost of a plugin from its newest change to the change at `end`.
    pub fn close(&mut self, record: &Record, after: Option<&Record>, end: Timestamp, revision: Revision) {
        let spent = spend(record, after, end, Window::until(end));
        if spent.is_nothing() {
            return;
        }
        let key = record.plugin.key();
        let mut accrual = self.accruals.get(&key).copied().unwrap_or(Accrual {
            closed: Spend::default(),
            began: record.updated_at,
            ended: end,
        });
        accrual.closed += spent;
        accrual.ended = end;
        self.accruals.insert_mut(key, accrual);
        if self.budgets.is_empty() {
            return;
        }
        let counting: Vec<_> = self.budgets.iter().filter(|(_, account)| account.counts(record)).collect();
        let counted = counting.into_iter().map(|(id, account)| {
            let mut account = Account::clone(account);
            let window = Window { from: account.counts_from(end), to: end };
            account.count(spend(record, after, end, window), end, revision);
            (id.clone(), account)
        });
        for (id, account) in counted.collect::<Vec<_>>() {
            self.budgets.insert_mut(id, Arc::new(account));
        }
    }

    /// Applies a change to a budget.
    pub(crate) fn enter(&mut self, id: &str, event: &BudgetEvent, at: Timestamp, revision: Revision) {
        let before = self.budgets.get(id);
        let after = match (event, before) {
            (BudgetEvent::Saved(budget), before) => {
                Account::saved(budget, before.map(|account| &**account), at, revision)
            }
            (BudgetEvent::Told(notice), Some(account)) => {
                let mut account = Account::clone(account);
                account.note(notice, revision);
                account
            }
            (BudgetEvent::Removed, _) | (BudgetEvent::Told(_), None) => {
                self.budgets.remove_mut(id);
                return;
            }
        };
        self.budgets.insert_mut(id.into(), Arc::new(after));
    }
}
