//! Costs in steps of time, for charts.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::version::{Rented, Window};
use crate::money::Spend;
use crate::record::Record;
use crate::steps::Steps;

/// The cost of each group in each step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CostSeries {
    steps: Option<Steps>,
    lines: BTreeMap<Option<String>, Vec<Spend>>,
}

impl CostSeries {
    /// An empty series; without steps, it stays empty.
    pub fn new(steps: Option<Steps>) -> CostSeries {
        CostSeries { steps, lines: BTreeMap::new() }
    }

    /// The steps.
    pub fn steps(&self) -> Option<Steps> {
        self.steps
    }

    /// The number of amounts in all lines.
    pub fn amounts(&self) -> usize {
        self.lines.values().map(Vec::len).sum()
    }

    /// The cost of a group in each step; nothing for a group without costs in any step.
    pub fn line(&self, group: &Option<String>) -> &[Spend] {
        self.lines.get(group).map_or(&[], Vec::as_slice)
    }

    /// Every group with its cost in each step.
    pub fn lines(&self) -> impl Iterator<Item = (&Option<String>, &[Spend])> {
        self.lines.iter().map(|(group, line)| (group, line.as_slice()))
    }

    /// The cost of all groups in each step.
    pub fn total(&self) -> Vec<Spend> {
        let mut total = vec![Spend::default(); self.steps.map_or(0, Steps::count)];
        for line in self.lines.values() {
            for (sum, spent) in total.iter_mut().zip(line) {
                *sum += *spent;
            }
        }
        total
    }

    /// Adds the cost of a resource while `version` was current until `end`; `after` is the next version.
    pub(super) fn add(
        &mut self,
        group: Option<String>,
        rented: &Rented<'_>,
        version: &Record,
        after: Option<&Record>,
        end: Timestamp,
    ) {
        let Some(steps) = self.steps else { return };
        let began = version.updated_at.max(steps.from);
        let Some(first) = steps.index(began).filter(|_| end > began) else { return };
        let line = self.lines.entry(group).or_insert_with(|| vec![Spend::default(); steps.count()]);
        for (index, sum) in line.iter_mut().enumerate().skip(first) {
            let (from, to) = steps.span(index);
            if from >= end {
                break;
            }
            *sum += rented.spend(version, after, end, Window { from, to });
        }
    }
}
