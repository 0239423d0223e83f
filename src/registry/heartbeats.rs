//! Heartbeats: when leases were renewed, when resources were last observed, when agents last reported.
//!
//! They are not part of the history: they use no revision and wait for no disk. They end with the process, so a new
//! process gives every lease and resource time ([`Heartbeats::listening`]). Heartbeats of other processes on the same
//! store come through a [`crate::store::heartbeats::HeartbeatStore`].

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};

use crate::store::heartbeats::{Heartbeat, HeartbeatKind};
use domain::lease::Term;
use domain::record::{Looks, ObservedState, ResourceKey};
use domain::self_preservation::SelfPreservation;
use domain::{Lease, LeaseId, LeaseState};

/// How long an observation counts without a repetition: three times the interval of agents' reports.
pub const STALE: SignedDuration = SignedDuration::from_mins(3);

/// How long after its last report an agent keeps other agents from reporting for its host.
pub const AGENT_FRESH: SignedDuration = SignedDuration::from_secs(60);

/// An agent and its host; plugins without a host count as one host.
type AgentKey = (Option<Box<str>>, Box<str>);

/// Heartbeats, usable from any thread.
#[derive(Debug)]
pub struct Heartbeats {
    /// Microseconds since the Unix epoch.
    listening: AtomicI64,
    /// When each lease was renewed, in microseconds since the Unix epoch. Renewals take the read lock only, so they do
    /// not wait for each other.
    renewed: RwLock<HashMap<LeaseId, AtomicI64, RandomState>>,
    sights: Mutex<HashMap<ResourceKey, LastObservation>>,
    agents: Mutex<HashMap<AgentKey, AgentHeard>>,
    self_preservation: Mutex<SelfPreservation>,
    /// The number of reports. A reader that knows this number has seen all reports before it.
    reports: AtomicI64,
}

/// The last observation of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastObservation {
    state: ObservedState,
    looks: Looks,
}

/// When an agent last reported.
#[derive(Debug, Clone, Copy, Default)]
struct AgentHeard {
    here: Option<Timestamp>,
    elsewhere: Option<Timestamp>,
}

/// An agent that has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardAgent {
    /// Its host, in normal form.
    pub host: Option<Box<str>>,
    /// Its name.
    pub by: Box<str>,
    /// When it last reported.
    pub at: Timestamp,
}

impl HeardAgent {
    /// Whether it counts as looking at its host.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < AGENT_FRESH
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Heartbeats {
    /// No heartbeats, for a process that starts now.
    pub fn new(now: Timestamp) -> Heartbeats {
        Heartbeats {
            listening: AtomicI64::new(now.as_microsecond()),
            renewed: RwLock::default(),
            sights: Mutex::default(),
            agents: Mutex::default(),
            self_preservation: Mutex::default(),
            reports: AtomicI64::new(0),
        }
    }

    /// Since when this process receives all heartbeats that are sent to it.
    pub fn listening(&self) -> Timestamp {
        time(self.listening.load(Ordering::Acquire))
    }

    /// Starts anew: the process was paused or the clock was set, so earlier heartbeats do not say anything about now.
    pub(super) fn begin_again(&self, now: Timestamp) {
        self.listening.store(now.as_microsecond(), Ordering::Release);
        self.renewed.write().unwrap_or_else(PoisonError::into_inner).clear();
        lock(&self.agents).clear();
        // The number of equal observations stays valid; their times do not.
        for sight in lock(&self.sights).values_mut() {
            sight.looks.last = sight.looks.last.map(|last| last.min(now));
        }
    }

    /// Records the renewal of a lease.
    pub fn renew(&self, id: &LeaseId, at: Timestamp) {
        let micros = at.as_microsecond();
        if let Some(renewed) = self.renewed.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            renewed.fetch_max(micros, Ordering::AcqRel);
            return;
        }
        let mut renewed = self.renewed.write().unwrap_or_else(PoisonError::into_inner);
        renewed.entry(id.clone()).or_insert_with(|| AtomicI64::new(micros)).fetch_max(micros, Ordering::AcqRel);
    }

    /// When a lease was last renewed, granted or revived, as far as this process knows.
    pub fn renewed(&self, lease: &Lease) -> Timestamp {
        let renewed = self.renewed.read().unwrap_or_else(PoisonError::into_inner);
        let last = renewed.get(&lease.id).map(|micros| time(micros.load(Ordering::Acquire)));
        match lease.state {
            LeaseState::Active => last.map_or(lease.since, |last| last.max(lease.since)),
            LeaseState::Lost | LeaseState::Released => last.map_or(lease.granted_at, |last| last.min(lease.since)),
        }
    }

    /// Whether a lease was renewed after a moment.
    pub(super) fn renewed_since(&self, id: &LeaseId, moment: Timestamp) -> bool {
        let renewed = self.renewed.read().unwrap_or_else(PoisonError::into_inner);
        renewed.get(id).is_some_and(|micros| time(micros.load(Ordering::Acquire)) > moment)
    }

    /// When an active lease ends unless its holder renews it.
    pub fn ends_at(&self, lease: &Lease, now: Timestamp) -> Timestamp {
        Term { ttl: lease.ttl(), renewed: self.renewed(lease), listening: self.listening() }.ends_at(now)
    }

    /// Drops the heartbeats of all leases except those for which `stands` returns true.
    pub(super) fn keep_leases(&self, stands: impl Fn(&LeaseId) -> bool) {
        self.renewed.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| stands(id));
    }

    /// When the hold of a host's leases ends; `None` if they are not held.
    pub fn held_until(&self, host: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        lock(&self.self_preservation).until(host, now)
    }

    /// The hosts whose leases are held.
    pub(super) fn self_preservation(&self) -> SelfPreservation {
        lock(&self.self_preservation).clone()
    }

    /// Sets the hosts whose leases are held.
    pub(super) fn brake(&self, self_preservation: SelfPreservation) {
        *lock(&self.self_preservation) = self_preservation;
    }

    /// Records an observation of a resource; returns how often in a row it was the same.
    ///
    /// The count starts anew if this is the first observation (`is_first`): the resource has the name of an earlier one.
    pub(super) fn saw(&self, key: ResourceKey, state: ObservedState, at: Timestamp, is_first: bool) -> Looks {
        let mut sights = lock(&self.sights);
        let sight = sights.entry(key).or_insert(LastObservation { state, looks: Looks::default() });
        if sight.state != state || is_first {
            *sight = LastObservation { state, looks: Looks::default() };
        }
        // A repeated report of the same observation counts once.
        if sight.looks.last.is_none_or(|last| last < at) {
            sight.looks = Looks { sightings: sight.looks.sightings.saturating_add(1), last: Some(at) };
        }
        sight.looks
    }

    /// The counts of the observations of a resource in a state.
    pub fn looks(&self, key: &ResourceKey, state: ObservedState) -> Looks {
        lock(&self.sights).get(key).filter(|sight| sight.state == state).map(|sight| sight.looks).unwrap_or_default()
    }

    /// Drops the counts of all resources except those for which `held` returns true.
    pub(super) fn keep_sights(&self, held: impl Fn(&ResourceKey) -> bool) {
        lock(&self.sights).retain(|key, _| held(key));
    }

    /// Records a report of an agent.
    pub(super) fn heard(&self, host: Option<&str>, by: &str, now: Timestamp) {
        let agent = (host.map(Into::into), by.into());
        lock(&self.agents).entry(agent).or_default().here = Some(now);
        self.reports.fetch_add(1, Ordering::AcqRel);
    }

    /// Drops the agents whose last report is older than `before`.
    pub(super) fn forget_agents(&self, before: Timestamp) {
        lock(&self.agents).retain(|_, heard| heard.here.max(heard.elsewhere).is_some_and(|at| at >= before));
    }

    /// The agent other than `by` that reports for a host, and the time of its last report.
    pub(super) fn other_agent(&self, host: &str, by: &str, now: Timestamp) -> Option<(Box<str>, Timestamp)> {
        let agents = lock(&self.agents);
        let others = agents.iter().filter(|((of, who), _)| of.as_deref() == Some(host) && **who != *by);
        let heard = others.filter_map(|((_, who), heard)| Some((who.clone(), heard.here.max(heard.elsewhere)?)));
        heard.filter(|(_, at)| now.duration_since(*at) < AGENT_FRESH).max_by_key(|(_, at)| *at)
    }

    /// The hosts whose agents reported lately.
    pub fn hosts(&self, now: Timestamp) -> BTreeSet<Box<str>> {
        let agents = lock(&self.agents);
        let fresh =
            |heard: &AgentHeard| heard.here.max(heard.elsewhere).is_some_and(|at| now.duration_since(at) < AGENT_FRESH);
        agents.iter().filter(|(_, heard)| fresh(heard)).filter_map(|((host, _), _)| host.clone()).collect()
    }

    /// The agents that this process has heard of, each with its host in normal form and the time of its last report.
    pub fn agents(&self) -> Vec<HeardAgent> {
        let agents = lock(&self.agents);
        let heard = agents.iter().filter_map(|((host, by), heard)| {
            let at = heard.here.max(heard.elsewhere)?;
            Some(HeardAgent { host: host.clone(), by: by.clone(), at })
        });
        heard.collect()
    }

    /// When a resource that `by` observed in a state was last observed so, or may have been.
    ///
    /// The process knows its own observations exactly. Of an agent that reports to another process, it knows only the
    /// last report. Observations from before this process started get the full time again.
    pub fn fresh_at(&self, key: &ResourceKey, state: ObservedState, by: &str) -> Timestamp {
        let here = self.looks(key, state).last;
        let agents = lock(&self.agents);
        let elsewhere =
            agents.iter().filter(|((_, who), _)| **who == *by).filter_map(|(_, heard)| heard.elsewhere).max();
        here.max(elsewhere).unwrap_or(Timestamp::MIN).max(self.listening())
    }

    /// The number of reports.
    pub(super) fn reports(&self) -> i64 {
        self.reports.load(Ordering::Acquire)
    }

    /// The heartbeats of this process after a moment, for the other processes.
    pub(super) fn beats_after(&self, moment: Timestamp) -> Vec<Heartbeat> {
        let after = moment.as_microsecond();
        let mut beats = Vec::new();
        for (id, renewed) in &*self.renewed.read().unwrap_or_else(PoisonError::into_inner) {
            let micros = renewed.load(Ordering::Acquire);
            if micros > after {
                beats.push(Heartbeat { kind: HeartbeatKind::Lease, name: id.to_string(), at: time(micros) });
            }
        }
        for ((host, by), heard) in &*lock(&self.agents) {
            if let Some(at) = heard.here.filter(|at| *at > moment) {
                let name = serde_json::json!([host, by]).to_string();
                beats.push(Heartbeat { kind: HeartbeatKind::Agent, name, at });
            }
        }
        beats
    }

    /// Merges heartbeats of all processes.
    pub(super) fn merge(&self, beats: &[Heartbeat]) {
        for Heartbeat { kind, name, at } in beats {
            match kind {
                HeartbeatKind::Lease => self.renew(&LeaseId::named(name), *at),
                HeartbeatKind::Agent => {
                    let Ok((host, by)) = serde_json::from_str::<AgentKey>(name) else { continue };
                    let mut agents = lock(&self.agents);
                    let heard = agents.entry((host, by)).or_default();
                    // The store returns this process's own heartbeats too.
                    if heard.here.is_none_or(|here| here < *at) {
                        heard.elsewhere = heard.elsewhere.max(Some(*at));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_has_been_silent_is_forgotten() {
        let heartbeats = Heartbeats::new(time(0));
        heartbeats.heard(Some("h"), "silent", time(10));
        heartbeats.heard(Some("h"), "talks", time(20));
        heartbeats.forget_agents(time(15));
        let told: Vec<_> = heartbeats.beats_after(Timestamp::MIN).into_iter().map(|pulse| pulse.name).collect();
        assert_eq!(told, [r#"["h","talks"]"#]);
    }
}
