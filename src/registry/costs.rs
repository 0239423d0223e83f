//! Queries about costs.
//!
//! Most queries need the state alone. The registry reads the journal only for a time that began before some version
//! ended, or for properties of ended versions. It reads from that time on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::fair_pool::{Turn, WorkCaller};
use super::journal_error::JournalReadError;
use super::journal_reader::ScanEnd;
use crate::registry::handle::Registry;
use crate::store::History;
use domain::change::history::ChangeRange;
use domain::cost::{Statement, Window};
use domain::query::cost::{CostPeriod, CostSum};
use domain::query::{CostQuery, Pace};
use domain::{Revision, Snapshot, Spend};

/// The number of changes to read at a time.
const AT_A_TIME: usize = 256;

/// What it costs to look at an accrual, in the unit of [`Pace::step`].
const ACCRUAL: usize = 64;

impl Registry {
    /// The costs of plugins at `now`, and past spending, summed at the caller's turn. `make` builds the response from
    /// them there.
    ///
    /// # Errors
    ///
    /// If the query needs the journal, and the journal cannot be read; or if too much work waits.
    pub async fn costs<T: Send + 'static>(
        &self,
        caller: WorkCaller,
        snapshot: &Arc<Snapshot>,
        query: &CostQuery,
        now: Timestamp,
        make: impl FnOnce(&Statement, CostPeriod) -> T + Send + 'static,
    ) -> Result<T, JournalReadError> {
        let (snapshot, query) = (Arc::clone(snapshot), query.clone());
        self.scan_journal(caller, move |history, turn| {
            let (statement, period) = sum(history, turn, &snapshot, &query, now)?;
            Ok(make(&statement, period))
        })
        .await
    }
}

fn sum(
    history: &dyn History,
    turn: &Turn<'_>,
    snapshot: &Snapshot,
    query: &CostQuery,
    now: Timestamp,
) -> Result<(Statement, CostPeriod), ScanEnd> {
    let window = Window { from: query.from.unwrap_or(Timestamp::MIN), to: query.to.unwrap_or(now).min(now) };
    let mut sum = CostSum {
        query,
        // What was spent stays spent, whatever the clock says now.
        window: Window { to: query.to.map_or(Timestamp::MAX, |_| window.to), ..window },
        state: &snapshot.state,
        statement: query.standing(&snapshot.state, Some(window), turn)?,
        told: BTreeMap::new(),
        known_from: None,
    };
    let has_ended_since = has_ended_since(snapshot, window.from, turn)?;
    let reads_journal = has_ended_since && (query.from.is_some() || query.to.is_some() || !query.is_fixed());
    if reads_journal {
        read_ended(history, turn, &mut sum, snapshot.state.revision())?;
    }
    let forgotten = if has_ended_since { sum.add_forgotten(turn)? } else { Spend::default() };
    // Without reading the journal, nothing is missing from it: the ledger knows every amount by its plugin.
    let forgotten = if reads_journal { forgotten } else { Spend::default() };
    Ok((sum.statement, CostPeriod { from: query.from, to: window.to, forgotten, known_from: sum.known_from }))
}

/// Whether a version that cost money ended after `from`.
fn has_ended_since(snapshot: &Snapshot, from: Timestamp, turn: &Turn<'_>) -> Result<bool, ScanEnd> {
    for accrual in snapshot.state.ledger().accruals().values() {
        turn.step(ACCRUAL)?;
        if accrual.ended > from {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds every version that ended after the window's start, as far as the journal has it.
fn read_ended(history: &dyn History, turn: &Turn<'_>, sum: &mut CostSum<'_>, head: Revision) -> Result<(), ScanEnd> {
    let mut after = match sum.query.from {
        Some(from) => history.revision_at(from)?.unwrap_or_default(),
        None => Revision::default(),
    };
    loop {
        let range = ChangeRange { after, until: Some(head), limit: AT_A_TIME, ..ChangeRange::default() };
        let page = history.read(&range, &turn.of_store())?;
        if after < page.compact_revision && sum.known_from.is_none() {
            let first = page.transitions.first().map(|first| first.change.at);
            sum.known_from = Some(first.unwrap_or(sum.state.at()));
        }
        for transition in &page.transitions {
            turn.step(transition.bytes())?;
            sum.add_ended(transition);
        }
        match page.transitions.last() {
            Some(last) if !page.is_all => after = last.change.revision,
            _ => return Ok(()),
        }
    }
}
