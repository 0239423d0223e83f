//! The cost of one version of a plugin: from the change that made it to the change that ended it.

use jiff::Timestamp;

use crate::money::{MicroUsd, Rate, Spend};
use crate::plugin::RemoteResource;
use crate::record::{Holding, Observation, Record, ResourceRef, Slot};

/// A span of time, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Window {
    /// All time up to `to`.
    pub fn until(to: Timestamp) -> Window {
        Window { from: Timestamp::MIN, to }
    }
}

/// The end of a resource's cost, as exactly as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The resource certainly ran until this time.
    pub certain: Timestamp,
    /// The resource may have run until this time.
    pub possible: Timestamp,
}

impl Extent {
    /// The extent of a remote resource during a version that was current until `end`, and of which `after` is the next.
    ///
    /// Without observations, the claim counts. A resource that was seen gone ended between its last sighting and the
    /// first observation of its absence. It costs nothing after that, whatever the plugin claims.
    fn of(held: &Holding<'_>, began: Timestamp, after: Option<&Record>, end: Timestamp) -> Extent {
        if seen_gone(held.observation()).is_some() {
            return Extent::claimed(began);
        }
        let later = after.and_then(|after| after.holdings.get(&held.slot)?.observation.as_ref());
        match seen_gone(later) {
            Some(gone) => Extent::seen_gone(end, gone.last_alive.unwrap_or(began).max(began), gone.since),
            None => Extent::claimed(end),
        }
    }

    /// The extent of a resource without observations: the registry trusts the claim until `end`.
    pub fn claimed(end: Timestamp) -> Extent {
        Extent { certain: end, possible: end }
    }

    /// The extent of a resource that was claimed until `end`, last seen alive at `alive`, and first seen gone at `gone`.
    /// It ended between the last two.
    pub fn seen_gone(end: Timestamp, alive: Timestamp, gone: Timestamp) -> Extent {
        let possible = gone.min(end);
        Extent { certain: alive.min(possible), possible }
    }
}

/// The observation that a resource has ended.
fn seen_gone(observation: Option<&Observation>) -> Option<&Observation> {
    observation.filter(|seen| seen.state.is_end())
}

/// A remote resource that a provider may charge for, and that a plugin holds or has left behind.
#[derive(Debug, Clone)]
pub struct Rented<'a> {
    held: Holding<'a>,
    /// The resource, as the plugin last described it.
    pub remote: &'a RemoteResource,
}

/// The remote resources that a provider may charge a record's plugin for.
pub fn rented(record: &Record) -> impl Iterator<Item = Rented<'_>> {
    let billable = record.is_billable().then(|| record.held()).into_iter().flatten();
    billable.filter_map(|held| match held.resource {
        ResourceRef::Remote(remote) if remote.is_billable() => Some(Rented { held, remote }),
        _ => None,
    })
}

impl Rented<'_> {
    /// Its declared price; nothing without a price.
    fn price(&self) -> Rate {
        self.remote.estimated_cost_per_hour.map(Rate::of).unwrap_or_default()
    }

    /// The current cost of an hour: nothing if it was seen gone.
    pub fn rate_now(&self) -> Rate {
        if seen_gone(self.held.observation()).is_some() { Rate::default() } else { self.price() }
    }

    /// Returns true if and only if its status says that it certainly bills.
    pub fn surely_bills(&self) -> bool {
        self.remote.status_class().surely_bills()
    }

    /// Returns true if and only if it has no price.
    pub fn is_unpriced(&self) -> bool {
        self.remote.estimated_cost_per_hour.is_none()
    }

    /// Its name among the resources of the plugin.
    pub fn slot(&self) -> &Slot {
        &self.held.slot
    }

    /// Its cost within a window, while `version` was current until `end`; `after` is the next version.
    pub fn spend(&self, version: &Record, after: Option<&Record>, end: Timestamp, window: Window) -> Spend {
        let extent = Extent::of(&self.held, version.updated_at, after, end);
        let (rate, from) = (self.price(), version.updated_at.max(window.from));
        let until = |end: Timestamp| rate.between(from, end.min(window.to));
        let high = until(extent.possible);
        // A word without a known meaning may mean that it has ended.
        let low = if self.surely_bills() { until(extent.certain) } else { MicroUsd::default() };
        Spend { low, high }
    }
}

/// The current cost of an hour of a held resource: nothing if it does not bill or was seen gone; `None` without a price.
pub fn hourly_now(held: &Holding<'_>) -> Option<MicroUsd> {
    let ResourceRef::Remote(remote) = held.resource else { return None };
    let price = remote.estimated_cost_per_hour.map(Rate::of)?;
    let bills = remote.is_billable() && seen_gone(held.observation()).is_none();
    Some(if bills { price.hourly() } else { MicroUsd::default() })
}

/// The cost of a held resource since the newest change of its plugin, which is `version`, up to `now`.
pub fn spent_since_change(held: &Holding<'_>, version: &Record, now: Timestamp) -> Spend {
    match held.resource {
        ResourceRef::Remote(remote) if remote.is_billable() => {
            Rented { held: held.clone(), remote }.spend(version, None, now, Window::until(now))
        }
        _ => Spend::default(),
    }
}

/// Returns true if and only if a provider may charge for something and there is no price for it.
pub fn is_unpriced(record: &Record) -> bool {
    rented(record).any(|rented| rented.is_unpriced())
}

/// The cost of a version within a window: it was current until `end`, and `after` is the next.
pub fn spend(version: &Record, after: Option<&Record>, end: Timestamp, window: Window) -> Spend {
    let costs = rented(version).map(|rented| rented.spend(version, after, end, window));
    costs.fold(Spend::default(), |sum, spent| sum + spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_was_seen_gone_ends_between_the_last_sight_of_it_and_the_first_of_its_absence() {
        assert_eq!(Extent::seen_gone(at(100), at(20), at(30)), Extent { certain: at(20), possible: at(30) });
        assert_eq!(
            Extent::seen_gone(at(25), at(20), at(30)),
            Extent { certain: at(20), possible: at(25) },
            "the plugin reported the end before an agent observed it"
        );
        assert_eq!(Extent::seen_gone(at(10), at(20), at(30)), Extent::claimed(at(10)));
    }
}
