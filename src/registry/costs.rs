//! Queries about costs.
//!
//! Most queries need the state alone. The registry reads the journal only for a time that began before some version
//! ended, or for properties of ended versions. It reads from that time on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::journal_error::JournalReadError;
use crate::registry::handle::Registry;
use domain::change::history::ChangeRange;
use domain::cost::{Statement, Window};
use domain::query::CostQuery;
use domain::query::cost::{CostPeriod, CostSum};
use domain::{Revision, Snapshot, Spend};

/// The number of changes to read at a time.
const AT_A_TIME: usize = 1_000;

impl Registry {
    /// The costs of plugins at `now`, and past spending.
    ///
    /// # Errors
    ///
    /// If the query needs the journal, and the journal cannot be read.
    pub async fn costs(
        &self,
        snapshot: &Arc<Snapshot>,
        query: &CostQuery,
        now: Timestamp,
    ) -> Result<(Statement, CostPeriod), JournalReadError> {
        let window = Window { from: query.from.unwrap_or(Timestamp::MIN), to: query.to.unwrap_or(now).min(now) };
        let mut sum = CostSum {
            query,
            window,
            state: &snapshot.state,
            statement: query.standing(&snapshot.state, Some(window)),
            told: BTreeMap::new(),
            known_from: None,
        };
        let has_ended_since = snapshot.state.ledger().accruals().values().any(|accrual| accrual.ended > window.from);
        let reads_journal = has_ended_since && (query.from.is_some() || query.to.is_some() || !query.is_fixed());
        if reads_journal {
            self.read_ended(&mut sum, snapshot.state.revision()).await?;
        }
        let forgotten = if has_ended_since { sum.add_forgotten() } else { Spend::default() };
        // Without reading the journal, nothing is missing from it: the ledger knows every amount by its plugin.
        let forgotten = if reads_journal { forgotten } else { Spend::default() };
        Ok((sum.statement, CostPeriod { from: query.from, to: window.to, forgotten }))
    }

    /// Adds every version that ended after the window's start, as far as the journal has it.
    async fn read_ended(&self, sum: &mut CostSum<'_>, head: Revision) -> Result<(), JournalReadError> {
        let mut after = match sum.query.from {
            Some(from) => self.revision_at(from).await?,
            None => Revision::default(),
        };
        loop {
            let range = ChangeRange { after, until: Some(head), limit: AT_A_TIME, ..ChangeRange::default() };
            let page = self.changes(range).await?;
            if after < page.compact_revision && sum.known_from.is_none() {
                let first = page.transitions.first().map(|first| first.change.at);
                sum.known_from = Some(first.unwrap_or(sum.state.at()));
            }
            for transition in &page.transitions {
                sum.add_ended(transition);
            }
            match page.transitions.last() {
                Some(last) if !page.is_all => after = last.change.revision,
                _ => return Ok(()),
            }
        }
    }
}
