//! Pages of resources: how a query for them is executed.
//!
//! The two lists that people open most, all resources by plugin and the dearest first, cost what they return. Any other
//! list costs the plugins of its smallest index.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Bound;
use std::sync::Arc;

use super::pace::{Pace, Unpaced, paced, whole};
use super::resource_row::{Certainty, Resource};
use super::resource_sort::{Candidate, ResourceSort, RowPosition, amount_key};
use super::resources::ResourceQuery;
use super::sort::SortKey;
use crate::cost::version::hourly_now;
use crate::index::{IndexKey, Records};
use crate::money::MicroUsd;
use crate::plugin::UniqueId;
use crate::price_index::PriceKey;
use crate::record::Record;
use crate::state::State;

/// A page of rows.
#[derive(Debug)]
pub struct ResourcePage {
    /// The rows, in order.
    pub items: Vec<Resource>,
    /// The number of rows on all pages.
    pub total: usize,
    /// The current cost of an hour of the rows on all pages.
    pub hourly: MicroUsd,
    /// The position where the next page starts; `None` on the last page.
    pub next: Option<RowPosition>,
}

/// The way to execute a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All resources in the order of the plugins.
    ByPlugin,
    /// All resources, the dearest first.
    Dearest,
    /// A look at every candidate.
    Scan,
}

impl ResourceQuery {
    /// Executes the query.
    pub fn run(&self, state: &State) -> ResourcePage {
        whole(self.run_at(state, &Unpaced))
    }

    /// Executes the query at a pace.
    ///
    /// # Errors
    ///
    /// If the pace stops the scan.
    pub fn run_at<P: Pace>(&self, state: &State, pace: &P) -> Result<ResourcePage, P::Stop> {
        match self.way() {
            Way::ByPlugin => {
                let from = self.after.as_ref().map(|after| after.unique_id.clone());
                let after = self.after.as_ref();
                let follows =
                    |found: &Candidate<'_>| after.is_none_or(|after| place_of(found) > (&after.unique_id, after.row));
                let found = holding_from(state, from, self.most(), pace, follows)?;
                Ok(self.whole_page(found, state))
            }
            Way::Dearest => self.run_dearest(state, pace),
            Way::Scan => self.run_scan(state, pace),
        }
    }

    /// The number of plugins to visit.
    pub fn cost(&self, state: &State) -> usize {
        let priced = state.indexes().prices().priced();
        match self.way() {
            Way::ByPlugin => self.most_rows(state),
            Way::Dearest if self.limit <= priced && self.after.is_none() => self.limit,
            Way::Dearest => state.having(&IndexKey::Holding).map_or(0, Records::size),
            Way::Scan => self.candidates(state).size(),
        }
    }

    /// The most rows that a page can have.
    pub fn most_rows(&self, state: &State) -> usize {
        self.limit.min(state.indexes().prices().held())
    }

    fn way(&self) -> Way {
        match self.sort {
            _ if !self.is_of_all() => Way::Scan,
            sort if sort == ResourceSort::default() => Way::ByPlugin,
            ResourceSort::DEAREST => Way::Dearest,
            _ => Way::Scan,
        }
    }

    /// One row more than the page has, which tells whether there is a next page.
    fn most(&self) -> usize {
        self.limit.saturating_add(1)
    }

    /// The rows with a price in the order of their index; then the others, in the order of the plugins.
    fn run_dearest<P: Pace>(&self, state: &State, pace: &P) -> Result<ResourcePage, P::Stop> {
        let after = self.after.as_ref().map(price_key);
        let free = Reverse(MicroUsd::default());
        let mut found = Vec::new();
        for (key, record) in state.indexes().prices().dearest(after.as_ref()).take(self.most()) {
            pace.record(record)?;
            found.extend(candidate_at(record, key.row));
        }
        if found.len() < self.most() {
            let behind = after.filter(|after| after.hourly == free);
            let from = behind.as_ref().map(|after| after.unique_id.clone());
            let rest = |found: &Candidate<'_>| {
                hourly_now(&found.held).unwrap_or_default() == MicroUsd::default()
                    && behind.as_ref().is_none_or(|after| place_of(found) > (&after.unique_id, after.row))
            };
            let most = self.most() - found.len();
            found.extend(holding_from(state, from, most, pace, rest)?);
        }
        Ok(self.whole_page(found, state))
    }

    fn run_scan<P: Pace>(&self, state: &State, pace: &P) -> Result<ResourcePage, P::Stop> {
        let candidates = self.candidates(state);
        let (sort, most) = (self.sort, self.most());
        // A heap of the first positions, so that a page of a long list does not sort the whole list.
        let mut best: BinaryHeap<Ranked<'_>> = BinaryHeap::new();
        let (mut total, mut hourly) = (0, MicroUsd::default());
        for record in paced(candidates.values(), pace) {
            for found in self.matches(record?) {
                total += 1;
                hourly += hourly_now(&found.held).unwrap_or_default();
                let position = sort.position(&found, state, self.at);
                let follows = |after: &RowPosition| sort.compare(&position, after) == Ordering::Greater;
                if self.after.as_ref().is_none_or(follows) {
                    best.push(Ranked { sort, position, found });
                    if best.len() > most {
                        best.pop();
                    }
                }
            }
        }
        let found = best.into_sorted_vec().into_iter().map(|ranked| ranked.found).collect();
        Ok(self.page(found, state, total, hourly))
    }

    /// A page of the list of all resources.
    fn whole_page(&self, found: Vec<Candidate<'_>>, state: &State) -> ResourcePage {
        let prices = state.indexes().prices();
        self.page(found, state, prices.held(), prices.hourly())
    }

    fn page(&self, mut found: Vec<Candidate<'_>>, state: &State, total: usize, hourly: MicroUsd) -> ResourcePage {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let next = found.last().filter(|_| more).map(|last| self.sort.position(last, state, self.at));
        let row = |found: &Candidate<'_>| Resource::of(&found.held, found.record, state, found.certainty);
        ResourcePage { items: found.iter().map(row).collect(), total, hourly, next }
    }
}

/// The place of a row in the order of the plugins.
fn place_of<'a>(found: &Candidate<'a>) -> (&'a UniqueId, usize) {
    (&found.record.unique_id, found.row)
}

fn price_key(position: &RowPosition) -> PriceKey {
    let hourly = match position.key {
        SortKey::Number(millionths) => MicroUsd(millionths.into()),
        SortKey::Null | SortKey::Flag(_) | SortKey::Text(_) => MicroUsd::default(),
    };
    debug_assert_eq!(amount_key(hourly.0), position.key, "prices fit into a key");
    PriceKey { hourly: Reverse(hourly), unique_id: position.unique_id.clone(), row: position.row }
}

fn candidate_at(record: &Arc<Record>, row: usize) -> Option<Candidate<'_>> {
    let held = record.held_at(row)?;
    let certainty = Certainty::of(&held, false);
    Some(Candidate { held, record, row, certainty })
}

/// The first `most` resources that are `wanted`, in the order of the plugins from `from` on.
fn holding_from<'a, P: Pace>(
    state: &'a State,
    from: Option<UniqueId>,
    most: usize,
    pace: &P,
    wanted: impl Fn(&Candidate<'a>) -> bool,
) -> Result<Vec<Candidate<'a>>, P::Stop> {
    let from = from.map_or(Bound::Unbounded, Bound::Included);
    let holding = state.having(&IndexKey::Holding).into_iter();
    let records = holding.flat_map(|holding| holding.range((from.clone(), Bound::Unbounded)).map(|(_, record)| record));
    let mut found = Vec::new();
    for record in paced(records, pace) {
        let record = record?;
        let rows = record.held().enumerate().map(|(row, held)| {
            let certainty = Certainty::of(&held, false);
            Candidate { held, record, row, certainty }
        });
        found.extend(rows.filter(&wanted).take(most - found.len()));
        if found.len() == most {
            break;
        }
    }
    Ok(found)
}

/// A row with its position, ordered by position.
struct Ranked<'a> {
    sort: ResourceSort,
    position: RowPosition,
    found: Candidate<'a>,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort.compare(&self.position, &other.position)
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked<'_> {}
