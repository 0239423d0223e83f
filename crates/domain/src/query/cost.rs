//! Cost queries: which costs to sum, over which time, in which groups.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::filter::Filter;
use super::pace::{Pace, paced};
use crate::change::Transition;
use crate::cost::series::CostSeries;
use crate::cost::version::spend;
use crate::cost::{GroupBy, Statement, Window};
use crate::index::IndexKey;
use crate::money::Spend;
use crate::plugin::PluginKey;
use crate::state::State;
use crate::steps::Steps;

/// What an accrual costs, in the unit of [`Pace::step`].
const ACCRUAL: usize = 256;

/// A cost query.
#[derive(Debug, Clone, Default)]
pub struct CostQuery {
    /// Plugins that meet these filters while they cost money.
    pub filters: Vec<Filter>,
    /// The property that amounts are grouped by.
    pub group_by: Option<GroupBy>,
    /// The length of the estimate, in millionths of an hour.
    pub hours: i128,
    /// Spending at or after this time; `None` for all spending.
    pub from: Option<Timestamp>,
    /// Spending before this time.
    pub to: Option<Timestamp>,
    /// The steps of a series, if the caller wants one.
    pub steps: Option<Steps>,
}

/// The spending in a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostPeriod {
    /// The start; `None` for all time.
    pub from: Option<Timestamp>,
    /// The end.
    pub to: Timestamp,
    /// The part of the sum from before the compact revision. Only its bounds are known, or only its plugin.
    pub forgotten: Spend,
    /// The journal has every change from this time on; `None` if it has those of the whole time.
    pub known_from: Option<Timestamp>,
}

impl CostQuery {
    /// The cost of existing plugins within `window`; without a window, their current cost only.
    ///
    /// # Errors
    ///
    /// If the pace stops the scan.
    pub fn standing<P: Pace>(&self, state: &State, window: Option<Window>, pace: &P) -> Result<Statement, P::Stop> {
        let mut statement = Statement {
            is_grouped: self.group_by.is_some(),
            series: CostSeries::new(self.steps),
            ..Statement::default()
        };
        let billable = state.having(&IndexKey::Billable);
        for record in paced(billable.into_iter().flat_map(|records| records.values()), pace) {
            let record = record?;
            if self.filters.iter().all(|filter| filter.accepts(record)) {
                statement.add_standing(record, self.group_by.as_ref(), self.hours, window);
            }
        }
        Ok(statement)
    }

    /// Returns true if and only if the query needs only the identity of an ended version's plugin.
    pub fn is_fixed(&self) -> bool {
        self.filters.iter().all(|filter| of_key(filter).is_some())
            && self.group_by.as_ref().is_none_or(GroupBy::is_fixed)
    }

    /// Whether the filters on the plugin's identity accept it.
    fn may_accept(&self, key: &PluginKey) -> bool {
        self.filters.iter().filter_map(of_key).all(|holds| holds(key))
    }
}

/// A filter that depends on a plugin's identity only.
fn of_key(filter: &Filter) -> Option<impl Fn(&PluginKey) -> bool> {
    let (categories, names) = match filter {
        Filter::Category(categories) => (Some(categories.clone()), None),
        Filter::Name(names) => (None, Some(names.clone())),
        _ => return None,
    };
    Some(move |key: &PluginKey| {
        categories.as_ref().is_none_or(|categories| categories.contains(&key.category))
            && names.as_ref().is_none_or(|names| names.iter().any(|name| name == key.name.as_str()))
    })
}

/// A sum in progress.
pub struct CostSum<'a> {
    /// The question.
    pub query: &'a CostQuery,
    /// The time to sum over.
    pub window: Window,
    /// The current state.
    pub state: &'a State,
    /// The sum so far.
    pub statement: Statement,
    /// The cost of each plugin by its versions in the journal.
    pub told: BTreeMap<PluginKey, Spend>,
    /// The time of the compact revision, if the query asks for earlier costs.
    pub known_from: Option<Timestamp>,
}

impl CostSum<'_> {
    /// Adds the version that a change ended.
    pub fn add_ended(&mut self, transition: &Transition) {
        let Some(record) = transition.before() else { return };
        let end = transition.change.at;
        let after = transition.after().map(|after| &**after);
        let whole = spend(record, after, end, Window::until(end));
        if whole.is_nothing() {
            return;
        }
        *self.told.entry(record.plugin.key()).or_default() += whole;
        if self.query.filters.iter().all(|filter| filter.accepts(record)) {
            self.statement.add_ended(record, after, end, self.query.group_by.as_ref(), self.window);
        }
    }

    /// Adds the costs that are in the ledger but no longer in the journal; returns their sum.
    ///
    /// # Errors
    ///
    /// If the pace stops the scan.
    pub fn add_forgotten<P: Pace>(&mut self, pace: &P) -> Result<Spend, P::Stop> {
        let is_whole = self.query.from.is_none() && self.query.to.is_none() && self.told.is_empty();
        let mut sum = Spend::default();
        if !is_whole && self.known_from.is_none() {
            // The journal has the whole time of the query.
            return Ok(sum);
        }
        let known_from = self.known_from.unwrap_or(self.window.to);
        for (key, accrual) in self.state.ledger().accruals() {
            pace.step(ACCRUAL)?;
            if !self.query.may_accept(key) || accrual.ended <= self.window.from || accrual.began >= self.window.to {
                continue;
            }
            let rest = accrual.closed.without(self.told.get(key).copied().unwrap_or_default());
            // The whole amount is in the window only if the window covers the whole compacted time.
            let is_within = self.window.from <= accrual.began && self.window.to >= known_from;
            let is_ours = self.query.filters.iter().all(|filter| of_key(filter).is_some());
            let rest = if is_within && is_ours { rest } else { rest.at_most() };
            self.statement.add_forgotten(key, self.query.group_by.as_ref(), rest);
            sum += rest;
        }
        Ok(sum)
    }
}
