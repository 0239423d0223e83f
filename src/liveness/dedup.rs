//! Remembers what was reported of each resource, so that only changes are reported.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use domain::plugin::FreeJson;
use domain::record::{ObservedState, ReportedObservation, ResourceKey};

/// How often a state is reported before it is only refreshed: findings need two observations, and an orphan one of a
/// process that is alive. The second report costs no revision.
const CONFIRMATIONS: u32 = 2;

/// What was reported.
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
    parent: Option<FreeJson>,
    abandoned: Option<Box<str>>,
    at: Timestamp,
    times: u32,
}

/// An observation, and the part of its detail whose change is worth a report.
#[derive(Debug, Clone, PartialEq)]
pub struct LastReport {
    /// The observation.
    pub sighting: ReportedObservation,
    /// The rest of the detail changes all the time, as the children of a process do.
    pub headline: Option<Box<str>>,
}

impl ReportDedup {
    /// A memory that reports an unchanged observation again once `refresh` has passed.
    pub fn new(refresh: SignedDuration) -> ReportDedup {
        ReportDedup { told: HashMap::new(), refresh }
    }

    /// Returns the observation if it is worth a report: the state has changed or needs confirmation, or the last report
    /// grows stale.
    pub fn news(&mut self, seen: LastReport) -> Option<ReportedObservation> {
        let LastReport { sighting, headline } = seen;
        let times = match self.told.get(&sighting.key) {
            Some(told)
                if told.state == sighting.state
                    && told.headline == headline
                    && told.abandoned == sighting.abandoned =>
            {
                // A clock that was set back must not stop reports.
                let fresh = told.at <= sighting.at && sighting.at.duration_since(told.at) < self.refresh;
                if fresh && told.times >= CONFIRMATIONS {
                    return None;
                }
                told.times
            }
            // Another detail of the same state: the registry goes on counting.
            Some(told) if told.state == sighting.state => told.times,
            _ => 0,
        };
        // Keep the identity and the parent: a gone or hidden resource had one.
        let known = self.told.remove(&sighting.key).map(|told| (told.identity, told.parent));
        let (identity, parent) = known.unwrap_or_default();
        let told = Reported {
            state: sighting.state,
            headline,
            identity: sighting.identity.clone().or(identity),
            parent: sighting.parent.clone().or(parent),
            abandoned: sighting.abandoned.clone(),
            at: sighting.at,
            times: times.saturating_add(1),
        };
        self.told.insert(sighting.key.clone(), told);
        Some(sighting)
    }

    /// The last identity of a resource.
    pub fn identity(&self, key: &ResourceKey) -> Option<&FreeJson> {
        self.told.get(key)?.identity.as_ref()
    }

    /// The parent of a process at the first look.
    pub fn parent(&self, key: &ResourceKey) -> Option<&FreeJson> {
        self.told.get(key)?.parent.as_ref()
    }

    /// Why no process looks after a process, as last reported.
    pub fn abandoned(&self, key: &ResourceKey) -> Option<&str> {
        self.told.get(key)?.abandoned.as_deref()
    }

    /// Forgets resources that no plugin holds: if one is held again, it is a new one.
    pub fn forget_all_but<'a>(&mut self, held: impl Iterator<Item = &'a ResourceKey>) {
        let held: HashSet<&ResourceKey> = held.collect();
        self.told.retain(|key, _| held.contains(key));
    }

    /// Forgets what was reported but keeps the identities: for a registry that has lost its observations. It may have
    /// lost its counts, too, so that each state is confirmed again.
    pub fn resend_all(&mut self) {
        for told in self.told.values_mut() {
            told.at = Timestamp::MIN;
            told.times = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::plugin::UniqueId;
    use domain::record::ResourceKind;

    fn key() -> ResourceKey {
        ResourceKey { plugin: UniqueId::from_client("c_n"), kind: ResourceKind::Process, id: "42".into(), host: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn seen(second: i64, state: ObservedState, headline: &str) -> LastReport {
        let identity = (state == ObservedState::Alive).then(FreeJson::empty_object);
        let (key, at) = (key(), at(second));
        let sighting = ReportedObservation { key, state, at, detail: None, identity, parent: None, abandoned: None };
        LastReport { sighting, headline: Some(headline.into()) }
    }

    #[test]
    fn an_unchanged_observation_is_confirmed_and_then_reported_again_when_stale() {
        let mut memory = ReportDedup::new(SignedDuration::from_secs(30));
        let told = |memory: &mut ReportDedup, second| memory.news(seen(second, ObservedState::Alive, "")).is_some();
        let times: Vec<i64> = (0..20).map(|look| look * 5).filter(|second| told(&mut memory, *second)).collect();
        assert_eq!(times, [0, 5, 35, 65, 95]);
        assert!(memory.news(seen(99, ObservedState::Alive, "stopped")).is_some(), "the headline has changed");
        assert!(memory.news(seen(5, ObservedState::Alive, "stopped")).is_some(), "the clock was set back");
    }

    #[test]
    fn a_registry_that_lost_its_counts_gets_two_reports_again() {
        let mut memory = ReportDedup::new(SignedDuration::from_secs(30));
        let told = |memory: &mut ReportDedup, second| memory.news(seen(second, ObservedState::Alive, "")).is_some();
        assert_eq!([0, 5, 10].map(|second| told(&mut memory, second)), [true, true, false]);
        memory.resend_all();
        assert_eq!([15, 20, 25].map(|second| told(&mut memory, second)), [true, true, false]);
    }

    #[test]
    fn another_state_is_reported_twice() {
        let mut memory = ReportDedup::new(SignedDuration::from_secs(30));
        assert!(memory.news(seen(0, ObservedState::Alive, "")).is_some());
        let gone = |memory: &mut ReportDedup, second| memory.news(seen(second, ObservedState::Gone, "")).is_some();
        let times: Vec<i64> = (1..40).filter(|second| gone(&mut memory, *second)).collect();
        assert_eq!(times, [1, 2, 32]);
        assert!(memory.identity(&key()).is_some(), "a gone resource had an identity");
    }

    #[test]
    fn a_resource_that_is_held_again_is_reported_anew() {
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
