//! What was told of each resource already, so that only news is told.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use domain::plugin::FreeJson;
use domain::record::{ObservedState, ReportedObservation, ResourceKey};

/// How often a state other than alive is told before it is only refreshed: findings take two sightings.
const CONFIRMATIONS: u32 = 2;

/// What was told.
#[derive(Debug)]
pub struct ReportDedup {
    told: HashMap<ResourceKey, Reported>,
    refresh: SignedDuration,
}

#[derive(Debug)]
struct Reported {
    state: ObservedState,
    headline: Option<Box<str>>,
    identity: Option<FreeJson>,
    at: Timestamp,
    times: u32,
}

/// A sighting, and the part of its detail whose change is news.
#[derive(Debug, Clone, PartialEq)]
pub struct LastReport {
    /// What was seen.
    pub sighting: ReportedObservation,
    /// The rest of the detail changes all the time, as the children of a process do.
    pub headline: Option<Box<str>>,
}

impl ReportDedup {
    /// A memory that lets what has not changed be told again when `refresh` has passed.
    pub fn new(refresh: SignedDuration) -> ReportDedup {
        ReportDedup { told: HashMap::new(), refresh }
    }

    /// Returns the sighting if it is news: when the state has changed, when it is not alive and has to
    /// be confirmed, or when what was told grows stale.
    pub fn news(&mut self, seen: LastReport) -> Option<ReportedObservation> {
        let LastReport { sighting, headline } = seen;
        let times = match self.told.get(&sighting.key) {
            Some(told) if told.state == sighting.state && told.headline == headline => {
                // A clock that was set back must not silence us.
                let fresh = told.at <= sighting.at && sighting.at.duration_since(told.at) < self.refresh;
                if fresh && (sighting.state == ObservedState::Alive || told.times >= CONFIRMATIONS) {
                    return None;
                }
                told.times
            }
            _ => 0,
        };
        // An identity is for good: what is gone or hidden had one.
        let known = self.told.remove(&sighting.key).and_then(|told| told.identity);
        let told = Reported {
            state: sighting.state,
            headline,
            identity: sighting.identity.clone().or(known),
            at: sighting.at,
            times: times.saturating_add(1),
        };
        self.told.insert(sighting.key.clone(), told);
        Some(sighting)
    }

    /// The identity that was seen of a resource.
    pub fn identity(&self, key: &ResourceKey) -> Option<&FreeJson> {
        self.told.get(key)?.identity.as_ref()
    }

    /// Forgets what is not held any more: should it be held again, it is another one.
    pub fn forget_all_but<'a>(&mut self, held: impl Iterator<Item = &'a ResourceKey>) {
        let held: HashSet<&ResourceKey> = held.collect();
        self.told.retain(|key, _| held.contains(key));
    }

    /// Forgets that anything was told, and not what was seen: for a registry that has lost it.
    pub fn resend_all(&mut self) {
        for told in self.told.values_mut() {
            told.at = Timestamp::MIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::plugin::UniqueId;
    use domain::record::ResourceKind;

    fn key() -> ResourceKey {
        ResourceKey { plugin: UniqueId::from_client("c_n"), kind: ResourceKind::Process, id: "42".into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn seen(second: i64, state: ObservedState, headline: &str) -> LastReport {
        let identity = (state == ObservedState::Alive).then(FreeJson::empty_object);
        let sighting = ReportedObservation { key: key(), state, at: at(second), detail: None, identity };
        LastReport { sighting, headline: Some(headline.into()) }
    }

    #[test]
    fn what_has_not_changed_is_told_when_it_grows_stale() {
        let mut memory = ReportDedup::new(SignedDuration::from_secs(30));
        let told = |memory: &mut ReportDedup, second| memory.news(seen(second, ObservedState::Alive, "")).is_some();
        let times: Vec<i64> = (0..100).filter(|second| told(&mut memory, *second)).collect();
        assert_eq!(times, [0, 30, 60, 90]);
        assert!(memory.news(seen(99, ObservedState::Alive, "stopped")).is_some(), "the headline is news");
        assert!(memory.news(seen(5, ObservedState::Alive, "stopped")).is_some(), "the clock was set back");
    }

    #[test]
    fn what_is_not_alive_is_confirmed_once() {
        let mut memory = ReportDedup::new(SignedDuration::from_secs(30));
        assert!(memory.news(seen(0, ObservedState::Alive, "")).is_some());
        let gone = |memory: &mut ReportDedup, second| memory.news(seen(second, ObservedState::Gone, "")).is_some();
        let times: Vec<i64> = (1..40).filter(|second| gone(&mut memory, *second)).collect();
        assert_eq!(times, [1, 2, 32]);
        assert!(memory.identity(&key()).is_some(), "what is gone had an identity");
    }

    #[test]
    fn what_is_held_again_is_another_one() {
        let mut memory = ReportDedup::new(SignedDuration::from_secs(30));
        assert!(memory.news(seen(0, ObservedState::Alive, "")).is_some());
        memory.forget_all_but([key()].iter());
        assert!(memory.identity(&key()).is_some());
        memory.resend_all();
        assert!(memory.news(seen(1, ObservedState::Alive, "")).is_some());
        memory.forget_all_but([].iter());
        assert!(memory.identity(&key()).is_none());
    }
}
