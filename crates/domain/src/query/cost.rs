//! A question about costs: what to sum, over which time, in which groups.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::filter::Filter;
use crate::change::Transition;
use crate::cost::version::spend;
use crate::cost::{Extent, GroupBy, Statement, Window};
use crate::index::IndexKey;
use crate::money::Spend;
use crate::plugin::PluginKey;
use crate::state::State;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct CostQuery {
    /// About plugins that fulfil these while they cost something.
    pub filters: Vec<Filter>,
    /// By what the amounts are grouped.
    pub group_by: Option<GroupBy>,
    /// For how long the estimate is, in millionths of an hour.
    pub hours: i128,
    /// What was spent at or after this time; `None` for all that there ever was.
    pub from: Option<Timestamp>,
    /// What was spent before this time.
    pub to: Option<Timestamp>,
}

/// What has been spent in a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostPeriod {
    /// When it begins; `None` for all that there ever was.
    pub from: Option<Timestamp>,
    /// When it ends.
    pub to: Timestamp,
    /// How much of the sum lies before what the journal keeps, and so is known by its bounds alone, or by no more than
    /// its plugin.
    pub forgotten: Spend,
}

impl CostQuery {
    /// What it costs now, and nothing of what was spent.
    pub fn present(&self, state: &State) -> Statement {
        self.standing(state, None)
    }

    /// What stands, of the time of `window`, or what it costs now where there is none.
    pub fn standing(&self, state: &State, window: Option<Window>) -> Statement {
        let mut statement = Statement { is_grouped: self.group_by.is_some(), ..Statement::default() };
        let billable = state.having(&IndexKey::Billable);
        for record in billable.into_iter().flat_map(|records| records.values()) {
            if self.filters.iter().all(|filter| filter.accepts(record)) {
                statement.add_standing(record, self.group_by.as_ref(), self.hours, window);
            }
        }
        statement
    }

    /// Whether everything that is asked of what has ended follows from the identity of its plugin.
    pub fn is_fixed(&self) -> bool {
        self.filters.iter().all(|filter| of_key(filter).is_some())
            && self.group_by.as_ref().is_none_or(GroupBy::is_fixed)
    }

    /// Whether the filters that follow from a plugin's identity hold for it.
    fn may_accept(&self, key: &PluginKey) -> bool {
        self.filters.iter().filter_map(of_key).all(|holds| holds(key))
    }
}

/// A filter that asks for nothing but a plugin's identity.
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

/// A sum in the making.
pub struct CostSum<'a> {
    /// The question.
    pub query: &'a CostQuery,
    /// The time that it is about.
    pub window: Window,
    /// The present.
    pub state: &'a State,
    /// What was added so far.
    pub statement: Statement,
    /// What of each plugin's cost the journal has told, the whole of each version.
    pub told: BTreeMap<PluginKey, Spend>,
    /// When that begins which the journal keeps, if something before it was asked for.
    pub known_from: Option<Timestamp>,
}

impl CostSum<'_> {
    /// Adds what ended with a change.
    pub fn add_ended(&mut self, transition: &Transition) {
        let Some(record) = transition.before() else { return };
        let end = transition.change.at;
        let extent = Extent::of(record, transition.after().map(|after| &**after), end);
        let whole = spend(record, extent, Window::until(end));
        if whole.is_nothing() {
            return;
        }
        *self.told.entry(record.plugin.key()).or_default() += whole;
        if self.query.filters.iter().all(|filter| filter.accepts(record)) {
            let spent = spend(record, extent, self.window);
            self.statement.add_ended(record, self.query.group_by.as_ref(), spent);
        }
    }

    /// Adds what the books know of, and the journal did not tell; returns how much that is.
    pub fn add_forgotten(&mut self) -> Spend {
        let is_whole = self.query.from.is_none() && self.query.to.is_none() && self.told.is_empty();
        let mut sum = Spend::default();
        if !is_whole && self.known_from.is_none() {
            // The journal keeps everything that was asked for.
            return sum;
        }
        let known_from = self.known_from.unwrap_or(self.window.to);
        for (key, accrual) in self.state.ledger().accruals() {
            if !self.query.may_accept(key) || accrual.ended <= self.window.from || accrual.began >= self.window.to {
                continue;
            }
            let rest = accrual.closed.without(self.told.get(key).copied().unwrap_or_default());
            // All of it was spent in the window only if the window has all of the time that was forgotten.
            let is_within = self.window.from <= accrual.began && self.window.to >= known_from;
            let is_ours = self.query.filters.iter().all(|filter| of_key(filter).is_some());
            let rest = if is_within && is_ours { rest } else { rest.at_most() };
            self.statement.add_forgotten(key, self.query.group_by.as_ref(), rest);
            sum += rest;
        }
        sum
    }
}
