//! What has been spent, of a plugin and for a budget: what has ended is in the books, what stands is added.

use std::sync::Arc;

use jiff::Timestamp;

use super::budget::Account;
use super::ledger::Ledger;
use super::version::{Extent, Window, rate_now, spend};
use crate::index::IndexKey;
use crate::money::{MicroUsd, Spend};
use crate::record::Record;
use crate::state::State;

impl State {
    /// The books: what has been spent by what has ended.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What a plugin that stands has cost in all, up to `now`, its earlier lives included.
    pub fn accrued(&self, record: &Record, now: Timestamp) -> Spend {
        let closed = self.ledger.accruals().get(&record.plugin.key()).map(|accrual| accrual.closed).unwrap_or_default();
        closed + spend(record, Extent::of(record, None, now), Window::until(now))
    }

    /// What counts for a budget in the period of `now`.
    pub fn spent(&self, account: &Account, now: Timestamp) -> Spend {
        let window = Window { from: account.counts_from(now), to: now };
        let standing = self.counting(account).map(|record| spend(record, Extent::of(record, None, now), window));
        standing.fold(account.closed(now), |sum, spent| sum + spent)
    }

    /// What an hour costs now of what counts for a budget.
    pub fn burn(&self, account: &Account) -> MicroUsd {
        self.counting(account).filter_map(|record| rate_now(record)).map(crate::money::Rate::hourly).sum()
    }

    fn counting(&self, account: &Account) -> impl Iterator<Item = &Arc<Record>> {
        let billable = self.having(&IndexKey::Billable).into_iter().flat_map(|records| records.values());
        billable.filter(|record| account.counts(record))
    }
}
