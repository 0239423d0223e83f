//! Self-preservation: if most leases of a host run out at once, the host or its network has failed, and not every
//! application on it. The registry then holds these leases for a while before it marks them as lost. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::host;

/// The maximum time that leases are held.
pub const MAX_HOLD: SignedDuration = SignedDuration::from_mins(15);

/// Fewer leases that run out at once are not a sign of an outage.
const FEWEST: usize = 5;

/// The leases of one host at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseCount {
    /// The number of active leases, including those that have run out.
    pub active: usize,
    /// The number of those that have run out.
    pub due: usize,
}

/// The hosts whose leases are held, by their names in normal form, and since when. Leases without a host count as one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfPreservation(BTreeMap<Option<Box<str>>, Timestamp>);

impl SelfPreservation {
    /// The held hosts at `now`, derived from the leases of every host.
    #[must_use]
    pub fn at(&self, now: Timestamp, counts: &BTreeMap<Option<Box<str>>, LeaseCount>) -> SelfPreservation {
        let held = counts.iter().filter(|(_, count)| count.due >= FEWEST && count.due * 2 > count.active);
        // A hold keeps its start while the condition lasts, even beyond its end: a new start would prolong it.
        SelfPreservation(held.map(|(host, _)| (host.clone(), self.0.get(host).copied().unwrap_or(now))).collect())
    }

    /// When the hold of a host ends; `None` if its leases are not held.
    pub fn until(&self, host: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        if self.0.is_empty() {
            return None;
        }
        let until = self.0.get(&host::normal_of(host))?.saturating_add(MAX_HOLD).unwrap_or(Timestamp::MAX);
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn counts(active: usize, due: usize) -> BTreeMap<Option<Box<str>>, LeaseCount> {
        BTreeMap::from([(Some("h".into()), LeaseCount { active, due })])
    }

    #[test]
    fn a_host_is_held_when_most_of_its_leases_run_out_at_once() {
        for (active, due, held) in
            [(5, 5, true), (4, 4, false), (9, 5, true), (10, 5, false), (11, 6, true), (100, 40, false), (1, 1, false)]
        {
            let self_preservation = SelfPreservation::default().at(at(0), &counts(active, due));
            assert_eq!(self_preservation.until(Some("h"), at(0)).is_some(), held, "{due} of {active}");
            assert_eq!(self_preservation.until(None, at(0)), None);
            assert_eq!(self_preservation.until(Some("other"), at(0)), None);
        }
    }

    #[test]
    fn a_host_is_held_for_a_quarter_of_an_hour_and_no_longer() {
        let mut self_preservation = SelfPreservation::default();
        for second in 0..1_000 {
            self_preservation = self_preservation.at(at(second), &counts(8, 8));
            assert_eq!(self_preservation.until(Some("h"), at(second)).is_some(), second < 900, "{second}");
        }
        // The leases are renewed: the hold ends, and a new one can start.
        self_preservation = self_preservation.at(at(1_000), &counts(8, 0)).at(at(1_001), &counts(8, 8));
        assert_eq!(self_preservation.until(Some("h"), at(1_001)), Some(at(1_901)));
    }
}
