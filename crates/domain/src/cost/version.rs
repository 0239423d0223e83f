//! What one version of a plugin has cost: from the change that made it to the one that ended it.

use jiff::Timestamp;

use crate::money::{Rate, Spend};
use crate::plugin::Plugin;
use crate::record::resource::holdings_of;
use crate::record::{Observation, Record, ResourceKind};

/// A stretch of time, from its beginning up to its end, and without that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
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

/// The end of a version, as far as it is known when it has stopped to cost anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Up to here it has certainly run.
    pub certain: Timestamp,
    /// Up to here it may have run.
    pub possible: Timestamp,
}

impl Extent {
    /// Of a version that stood up to `end`, and of what stood after it, if it was that which ended it.
    ///
    /// What nobody has looked at is as was claimed. What was seen to be gone has ended between the last sight of it and
    /// the first of its absence, and costs nothing after that, whatever is claimed.
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

    /// Of a version that was claimed to run up to `end`, and that nobody has looked at: claims are taken at their word.
    pub fn claimed(end: Timestamp) -> Extent {
        Extent { certain: end, possible: end }
    }

    /// Of a version that was claimed to run up to `end`, was seen to run up to `alive` and was seen to be
    /// gone at `gone`: it has ended somewhere between the two.
    pub fn seen_gone(end: Timestamp, alive: Timestamp, gone: Timestamp) -> Extent {
        let possible = gone.min(end);
        Extent { certain: alive.min(possible), possible }
    }
}

/// What was seen of the end of a plugin's remote resource.
fn seen_gone(record: &Record) -> Option<&Observation> {
    let held = holdings_of(&record.plugin).find(|held| held.kind() == ResourceKind::Remote)?;
    record.facts_of(held)?.observation.as_ref().filter(|seen| seen.state.is_end())
}

/// What a plugin costs by its declared price; `None` when no provider may be charging for it. What has no price costs
/// nothing that is known of.
pub fn rate_of(plugin: &Plugin) -> Option<Rate> {
    let remote = plugin.remote_resource.as_ref().filter(|remote| remote.is_billable())?;
    Some(remote.estimated_cost_per_hour.map(Rate::of).unwrap_or_default())
}

/// What a plugin costs now: nothing, when what it claims was seen to be gone.
pub fn rate_now(record: &Record) -> Option<Rate> {
    let rate = rate_of(&record.plugin)?;
    Some(if seen_gone(record).is_some() { Rate::default() } else { rate })
}

/// Returns true if and only if a provider may be charging for a plugin, and nobody has said how much.
pub fn is_unpriced(plugin: &Plugin) -> bool {
    let remote = plugin.remote_resource.as_ref().filter(|remote| remote.is_billable());
    remote.is_some_and(|remote| remote.estimated_cost_per_hour.is_none())
}

/// What a version of a plugin has cost within a window.
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
            "its plugin has said so before it was missed"
        );
        assert_eq!(Extent::seen_gone(at(10), at(20), at(30)), Extent::claimed(at(10)));
    }
}
