//! Total spending of a plugin and of a budget: the ledger plus the current versions.

use std::sync::Arc;

use jiff::Timestamp;

use super::budget::Account;
use super::ledger::Ledger;
use super::version::{Window, rented, spend};
use crate::index::IndexKey;
use crate::money::{MicroUsd, Spend};
use crate::record::Record;
use crate::state::State;

impl State {
    /// The ledger: the cost of ended versions.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The total cost of an existing plugin up to `now`, including registrations before a removal.
    pub fn accrued(&self, record: &Record, now: Timestamp) -> Spend {
        let closed = self.ledger.accruals().get(&record.plugin.key()).map(|accrual| accrual.closed).unwrap_or_default();
        closed + spend(record, None, now, Window::until(now))
    }

    /// The spending of a budget in the period of `now`.
    pub fn spent(&self, account: &Account, now: Timestamp) -> Spend {
        let window = Window { from: account.counts_from(now), to: now };
        let standing = self.counting(account).map(|record| spend(record, None, now, window));
        standing.fold(account.closed(now), |sum, spent| sum + spent)
    }

    /// The current cost of an hour of the plugins in a budget.
    pub fn burn(&self, account: &Account) -> MicroUsd {
        self.counting(account).flat_map(|record| rented(record)).map(|rented| rented.rate_now().hourly()).sum()
    }

    fn counting(&self, account: &Account) -> impl Iterator<Item = &Arc<Record>> {
        let billable = self.having(&IndexKey::Billable).into_iter().flat_map(|records| records.values());
        billable.filter(|record| account.counts(record))
    }
}
