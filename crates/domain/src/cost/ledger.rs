//! The books: what has been spent by what has ended. Part of the state, made of changes alone.
//!
//! What costs something now is read from the plugins that stand, since their newest change; the books
//! have the sum of all before that. So an answer costs what it tells, and not what has ever happened.

use std::sync::Arc;

use jiff::Timestamp;
use rpds::RedBlackTreeMapSync;

use super::budget::{Account, Budget, Reached};
use super::version::{Extent, Window, spend};
use crate::money::Spend;
use crate::plugin::PluginKey;
use crate::record::Record;
use crate::revision::Revision;

/// What happened to a budget.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetEvent {
    /// Its owner wants it to be so.
    Saved(Arc<Budget>),
    /// It is no more.
    Removed,
    /// One of its thresholds was reached.
    Reached(Box<Reached>),
}

/// What a plugin has cost up to its newest change, whether it still stands or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accrual {
    /// How much.
    pub closed: Spend,
    /// When it first began to cost something.
    pub began: Timestamp,
    /// When the newest of it ended.
    pub ended: Timestamp,
}

/// All of it. Cloning it is cheap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    accruals: RedBlackTreeMapSync<PluginKey, Accrual>,
    budgets: RedBlackTreeMapSync<Box<str>, Arc<Account>>,
}

impl Ledger {
    /// The books that a store has kept.
    pub fn restore(
        accruals: impl IntoIterator<Item = (PluginKey, Accrual)>,
        budgets: impl IntoIterator<Item = (Box<str>, Account)>,
    ) -> Ledger {
        let budgets = budgets.into_iter().map(|(id, account)| (id, Arc::new(account)));
        Ledger { accruals: accruals.into_iter().collect(), budgets: budgets.collect() }
    }

    /// What every plugin has cost that has ever cost anything, also those that are no more: money that was spent stays spent.
    pub fn accruals(&self) -> &RedBlackTreeMapSync<PluginKey, Accrual> {
        &self.accruals
    }

    /// Every budget, by its id.
    pub fn budgets(&self) -> &RedBlackTreeMapSync<Box<str>, Arc<Account>> {
        &self.budgets
    }

    /// Counts what a plugin has cost from its newest change up to the one at `end`.
    pub fn close(&mut self, record: &Record, extent: Extent, end: Timestamp, revision: Revision) {
        let spent = spend(record, extent, Window::until(end));
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
            account.count(spend(record, extent, window), end, revision);
            (id.clone(), account)
        });
        for (id, account) in counted.collect::<Vec<_>>() {
            self.budgets.insert_mut(id, Arc::new(account));
        }
    }

    /// Does what happened to a budget.
    pub(crate) fn enter(&mut self, id: &str, event: &BudgetEvent, at: Timestamp, revision: Revision) {
        let before = self.budgets.get(id);
        let after = match (event, before) {
            (BudgetEvent::Saved(budget), before) => {
                Account::saved(budget, before.map(|account| &**account), at, revision)
            }
            (BudgetEvent::Reached(reached), Some(account)) => {
                let mut account = Account::clone(account);
                account.note(reached, revision);
                account
            }
            (BudgetEvent::Removed, _) | (BudgetEvent::Reached(_), None) => {
                self.budgets.remove_mut(id);
                return;
            }
        };
        self.budgets.insert_mut(id.into(), Arc::new(after));
    }
}
