//! Lists of plugins: filters, order and pages.
//!
//! The cost depends on the smallest index among the filters. If one index has exactly the answer in the default order,
//! the list costs only what it returns, and its total is the index's size.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Bound;
use std::sync::Arc;

use super::filter::Filter;
use super::pace::{Pace, Unpaced, paced, whole};
use super::sort::{Position, Sort, SortField};
use crate::host::HostNames;
use crate::index::{IndexKey, Records};
use crate::record::Record;
use crate::state::State;

/// What a reference to a record costs, in the unit of [`Pace::step`].
const REFERENCE: usize = 64;

/// A query for a list of plugins.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// The filters; a plugin must meet all of them.
    pub filters: Vec<Filter>,
    /// The order.
    pub sort: Sort,
    /// The maximum number of items; `None` for all.
    pub limit: Option<usize>,
    /// The position after which the items start.
    pub after: Option<Position>,
}

impl ListQuery {
    /// This query; a filter by host then takes all names of the host `own` for one of them.
    #[must_use]
    pub fn with_names_of(self, own: &HostNames) -> ListQuery {
        let filters = self.filters.into_iter().map(|filter| filter.with_names_of(own)).collect();
        ListQuery { filters, ..self }
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Listing {
    /// The items, in order.
    pub items: Vec<Arc<Record>>,
    /// The number of plugins that meet the filters, on all pages.
    pub total: usize,
    /// The position where the next page starts; `None` on the last page.
    pub next: Option<Position>,
}

/// A plan for a list: the candidates, and the filters that remain to be checked.
pub struct Plan<'a> {
    query: &'a ListQuery,
    candidates: Vec<&'a Records>,
    rest: Vec<&'a Filter>,
    /// How many times the texts of a record are read: to fold their case, and for each searched part.
    readings: usize,
    /// What it costs to visit a record, as a multiple of one that is small.
    weight: usize,
}

impl ListQuery {
    /// Chooses the smallest index among the filters.
    pub fn plan<'a>(&'a self, state: &'a State) -> Plan<'a> {
        let size = |records: &[&Records]| records.iter().map(|records| records.size()).sum::<usize>();
        let everything = (vec![state.plugins()], None);
        let indexed = self.filters.iter().filter_map(|filter| Some((filter.indexed(state)?, Some(filter))));
        let (candidates, chosen) = std::iter::once(everything)
            .chain(indexed)
            .min_by_key(|(records, filter)| (size(records), filter.is_none()))
            .unwrap_or_default();
        let rest = self.filters.iter().filter(|filter| !chosen.is_some_and(|chosen| std::ptr::eq(chosen, *filter)));
        let rest: Vec<_> = rest.collect();
        let searched = rest.iter().map(|filter| if let Filter::Text(parts) = filter { 1 + parts.len() } else { 0 });
        let readings = searched.sum();
        Plan {
            query: self,
            candidates,
            rest,
            readings,
            weight: kibibytes_of_a_record(state).saturating_mul(readings).saturating_add(1),
        }
    }
}

impl Plan<'_> {
    /// The number of records to visit. A record whose texts are searched counts again for each KiB that is read.
    pub fn cost(&self) -> usize {
        let size: usize = self.candidates.iter().map(|records| records.size()).sum();
        if self.is_direct() { self.query.limit.unwrap_or(size).min(size) } else { size.saturating_mul(self.weight) }
    }

    /// Whether one index has exactly the answer, in its order.
    fn is_direct(&self) -> bool {
        self.rest.is_empty()
            && self.candidates.len() <= 1
            && self.query.sort == Sort { field: SortField::UniqueId, descending: false }
    }

    /// Executes the plan.
    pub fn run(&self) -> Listing {
        whole(self.run_at(&Unpaced))
    }

    /// Executes the plan at a pace.
    ///
    /// # Errors
    ///
    /// If the pace stops the scan.
    pub fn run_at<P: Pace>(&self, pace: &P) -> Result<Listing, P::Stop> {
        if self.is_direct() { self.run_direct(pace) } else { self.run_scan(pace) }
    }

    fn run_direct<P: Pace>(&self, pace: &P) -> Result<Listing, P::Stop> {
        let Some(records) = self.candidates.first() else {
            return Ok(Listing { items: Vec::new(), total: 0, next: None });
        };
        let from = match &self.query.after {
            Some(after) => Bound::Excluded(after.unique_id.clone()),
            None => Bound::Unbounded,
        };
        let limit = self.query.limit.unwrap_or(usize::MAX);
        let mut found = records.range((from, Bound::Unbounded)).map(|(_, record)| record);
        let mut items = Vec::new();
        for record in found.by_ref().take(limit) {
            // The list takes a reference, and does not read the record.
            pace.step(REFERENCE)?;
            items.push(Arc::clone(record));
        }
        let next = found.next().and(items.last()).map(|last| self.query.sort.position(last));
        Ok(Listing { items, total: records.size(), next })
    }

    fn run_scan<P: Pace>(&self, pace: &P) -> Result<Listing, P::Stop> {
        let sort = self.query.sort;
        // A heap of the first positions, so that a page of a long list does not sort the whole list.
        let most = self.query.limit.map(|limit| limit.saturating_add(1));
        let mut best = BinaryHeap::new();
        let mut total = 0;
        for record in paced(self.candidates.iter().flat_map(|records| records.values()), pace) {
            let record = record?;
            pace.step(record.json.len() * self.readings)?;
            if !self.rest.iter().all(|filter| filter.accepts(record)) {
                continue;
            }
            total += 1;
            let position = sort.position(record);
            let follows = |after: &Position| sort.compare(&position, after) == Ordering::Greater;
            if self.query.after.as_ref().is_none_or(follows) {
                best.push(Ranked { sort, position, record });
                if most.is_some_and(|most| best.len() > most) {
                    best.pop();
                }
            }
        }
        let mut ranked = best.into_sorted_vec();
        ranked.dedup_by(|a, b| a.position.unique_id == b.position.unique_id);
        let limit = self.query.limit.unwrap_or(usize::MAX);
        let more = ranked.len() > limit;
        ranked.truncate(limit);
        let next = ranked.last().filter(|_| more).map(|last| last.position.clone());
        Ok(Listing { items: ranked.into_iter().map(|ranked| Arc::clone(ranked.record)).collect(), total, next })
    }
}

/// The mean size of a record.
fn kibibytes_of_a_record(state: &State) -> usize {
    let records = u64::try_from(state.plugins().size()).unwrap_or(u64::MAX).max(1);
    usize::try_from(state.bytes() / records / 1024).unwrap_or(usize::MAX)
}

/// A record with its position, ordered by position.
struct Ranked<'a> {
    sort: Sort,
    position: Position,
    record: &'a Arc<Record>,
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

impl Filter {
    /// The records that this filter accepts, if indexes hold exactly those, each once.
    pub(crate) fn indexed<'a>(&self, state: &'a State) -> Option<Vec<&'a Records>> {
        let keys: Vec<IndexKey> = match self {
            Filter::Active(true) => vec![IndexKey::Active],
            Filter::Billable(true) => vec![IndexKey::Billable],
            Filter::Configured(true) => vec![IndexKey::Configured],
            Filter::Category(names) => names.iter().cloned().map(IndexKey::Category).collect(),
            Filter::ExecutionMode(modes) => modes.iter().copied().map(IndexKey::Mode).collect(),
            Filter::Provider(providers) => providers.iter().copied().map(IndexKey::Provider).collect(),
            Filter::Host(hosts) => hosts.iter().map(|host| IndexKey::host(host)).collect(),
            Filter::Lease(leases) => leases.iter().map(|lease| IndexKey::Lease(lease.as_str().into())).collect(),
            // A plugin may hold several of the requested processes, and must be listed once.
            Filter::Pid(pids) if pids.len() == 1 => pids.iter().copied().map(IndexKey::Pid).collect(),
            Filter::Container(ids) => ids.iter().map(|id| IndexKey::container(id)).collect(),
            Filter::Verified(true) => vec![IndexKey::Verified],
            // The same holds for findings.
            Filter::Finding(kinds) if kinds.len() == 1 => kinds.iter().copied().map(IndexKey::OpenFinding).collect(),
            _ => return None,
        };
        let distinct: std::collections::BTreeSet<_> = keys.into_iter().collect();
        Some(distinct.iter().filter_map(|key| state.having(key)).collect())
    }
}
