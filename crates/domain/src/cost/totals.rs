//! Total spending of a plugin and of a budget: the ledger plus the current versions.

use jiff::Timestamp;

use super::budget::Account;
use super::ledger::Ledger;
use super::version::{Window, rented, spend};
use crate::index::IndexKey;
use crate::money::{MicroUsd, Spend};
use crate::query::pace::{Pace, Unpaced};
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
        let Ok((spent, _)) = self.spent_and_burn(account, now, &Unpaced);
        spent
    }

    /// The spending of a budget in the period of `now`, and the current cost of an hour of its plugins.
    ///
    /// # Errors
    ///
    /// If the pace stops the scan.
    pub fn spent_and_burn<P: Pace>(
        &self,
        account: &Account,
        now: Timestamp,
        pace: &P,
    ) -> Result<(Spend, MicroUsd), P::Stop> {
        let window = Window { from: account.counts_from(now), to: now };
        let (mut spent, mut burn) = (account.closed(now), MicroUsd::default());
        for record in self.having(&IndexKey::Billable).into_iter().flat_map(|records| records.values()) {
            pace.record(record)?;
            if account.counts(record) {
                spent += spend(record, None, now, window);
                burn += rented(record).map(|rented| rented.rate_now().hourly()).sum();
            }
        }
        Ok((spent, burn))
    }
}
