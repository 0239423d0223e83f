//! Total spending of a plugin and of a budget: the ledger plus the current versions.

use jiff::Timestamp;

use super::account::Account;
use super::ledger::Ledger;
use super::version::{Window, hourly_now, rented, spend, spent_since_change};
use crate::index::IndexKey;
use crate::money::{MicroUsd, Spend};
use crate::query::pace::Pace;
use crate::record::{Holding, Record};
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

    /// The cost of a held resource since it is held, up to `now`; `None` without a price.
    ///
    /// The ledger knows the sum of each plugin. It is that of the resource if the plugin has spent nothing before, and
    /// rents nothing else. Otherwise the cost lies between the part since the newest change and the sum.
    pub fn spent_on(&self, held: &Holding<'_>, record: &Record, now: Timestamp) -> Option<Spend> {
        hourly_now(held)?;
        let since_change = spent_since_change(held, record, now);
        let Some(accrual) = self.ledger.accruals().get(&record.plugin.key()) else { return Some(since_change) };
        let is_only = held.left().is_none() && record.holdings.left().all(|(_, left)| left.remote.is_none());
        let whole = accrual.closed + since_change;
        let is_exact = is_only && accrual.began >= held.claim.held_since;
        Some(if is_exact { whole } else { Spend { low: since_change.low, high: whole.high } })
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
