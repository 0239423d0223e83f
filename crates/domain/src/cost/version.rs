//! The cost of one version of a plugin: from the change that made it to the change that ended it.

use jiff::Timestamp;

use crate::money::{Rate, Spend};
use crate::plugin::Plugin;
use crate::record::resource::holdings_of;
use crate::record::{Observation, Record, ResourceKind};

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

/// The end of a version, as exactly as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The version certainly ran until this time.
    pub certain: Timestamp,
    /// The version may have run until this time.
    pub possible: Timestamp,
}

impl Extent {
    /// The extent of a version that was current until `end`, and of `after` if that replaced it.
    ///
    /// Without observations, the claim counts. A resource that was seen gone ended between its last sighting and the
    /// first observation of its absence. It costs nothing after that, whatever the plugin claims.
    pub fn of(version: &Record, after: Option<&Record>, end: Timestamp) -> Extent {
        let began = version.updated_at;
        if seen_gone(version).is_some() {
            return Extent::claimed(began);
        }
        match after.and_then(seen_gone) {
            Some(gone) => Extent::seen_gone(end, gone.last_alive.unwrap_or(began).max(began), gone.since),
            None => Extent::claimed(end),
        }
    }

    /// The extent of a version without observations: the registry trusts the claim until `end`.
    pub fn claimed(end: Timestamp) -> Extent {
        Extent { certain: end, possible: end }
    }

    /// The extent of a version that was claimed until `end`, last seen alive at `alive`, and first seen gone at `gone`.
    /// It ended between the last two.
    pub fn seen_gone(end: Timestamp, alive: Timestamp, gone: Timestamp) -> Extent {
        let possible = gone.min(end);
        Extent { certain: alive.min(possible), possible }
    }
}

/// The observation that a plugin's remote resource is gone.
fn seen_gone(record: &Record) -> Option<&Observation> {
    let held = holdings_of(&record.plugin).find(|held| held.kind() == ResourceKind::Remote)?;
    record.facts_of(held)?.observation.as_ref().filter(|seen| seen.state.is_end())
}

/// The cost of a plugin by its declared price; `None` if no provider may charge for it. A plugin without a price has no
/// known cost.
pub fn rate_of(plugin: &Plugin) -> Option<Rate> {
    let remote = plugin.remote_resource.as_ref().filter(|remote| remote.is_billable())?;
    Some(remote.estimated_cost_per_hour.map(Rate::of).unwrap_or_default())
}

/// The current rate of a plugin: nothing if its remote resource was seen gone.
pub fn rate_now(record: &Record) -> Option<Rate> {
    let rate = rate_of(&record.plugin)?;
    Some(if seen_gone(record).is_some() { Rate::default() } else { rate })
}

/// Returns true if and only if a provider may charge for a plugin and the plugin has no price.
pub fn is_unpriced(plugin: &Plugin) -> bool {
    let remote = plugin.remote_resource.as_ref().filter(|remote| remote.is_billable());
    remote.is_some_and(|remote| remote.estimated_cost_per_hour.is_none())
}

/// The cost of a version within a window.
pub fn spend(record: &Record, extent: Extent, window: Window) -> Spend {
    let Some(rate) = rate_of(&record.plugin) else { return Spend::default() };
    let from = record.updated_at.max(window.from);
    let until = |end: Timestamp| rate.between(from, end.min(window.to));
    Spend { low: until(extent.certain), high: until(extent.possible) }
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
