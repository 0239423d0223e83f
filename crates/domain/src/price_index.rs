//! Held resources by their price, and their sums: the dearest come without a look at all others.

use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::cost::version::hourly_now;
use crate::money::MicroUsd;
use crate::plugin::UniqueId;
use crate::record::Record;

/// The place of a resource: the dearest first; equal prices by plugin, then by the index among its resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PriceKey {
    /// The cost of an hour.
    pub hourly: Reverse<MicroUsd>,
    /// The plugin.
    pub unique_id: UniqueId,
    /// The index of the resource among all that the plugin holds.
    pub row: usize,
}

/// Every held resource that costs money now, and the sums over all held resources.
#[derive(Debug, Clone, Default)]
pub struct PriceIndex {
    priced: RedBlackTreeMapSync<PriceKey, Arc<Record>>,
    held: usize,
    hourly: MicroUsd,
}

impl PriceIndex {
    /// The number of all held resources, with and without a price.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The current cost of an hour of all held resources.
    pub fn hourly(&self) -> MicroUsd {
        self.hourly
    }

    /// The number of resources that cost money now.
    pub fn priced(&self) -> usize {
        self.priced.size()
    }

    /// The resources that cost money now, the dearest first, after `after`.
    pub fn dearest(&self, after: Option<&PriceKey>) -> impl Iterator<Item = (&PriceKey, &Arc<Record>)> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        self.priced.range((from, Bound::Unbounded))
    }

    /// Replaces `before` with `after`.
    pub(crate) fn replace(&mut self, before: Option<&Record>, after: Option<&Arc<Record>>) {
        if let Some(before) = before {
            self.held -= before.held_count();
            for key in keys_of(before) {
                self.hourly = self.hourly - key.hourly.0;
                self.priced.remove_mut(&key);
            }
        }
        if let Some(after) = after {
            self.held += after.held_count();
            for key in keys_of(after) {
                self.hourly += key.hourly.0;
                self.priced.insert_mut(key, Arc::clone(after));
            }
        }
    }
}

/// The resources of a plugin that cost money now.
fn keys_of(record: &Record) -> impl Iterator<Item = PriceKey> {
    // Most plugins cost nothing, and may hold thousands of processes.
    let billable = record.is_billable().then(|| record.held().enumerate()).into_iter().flatten();
    billable.filter_map(|(row, held)| {
        let hourly = hourly_now(&held).filter(|hourly| *hourly > MicroUsd::default())?;
        Some(PriceKey { hourly: Reverse(hourly), unique_id: record.unique_id.clone(), row })
    })
}
