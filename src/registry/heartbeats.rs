//! Heartbeats: when leases were renewed, when resources were last observed, when agents last reported.
//!
//! They are not part of the history: they use no revision and wait for no disk. They end with the process, so a new
//! process gives every lease and resource time ([`Heartbeats::listening`]). Heartbeats of other processes on the same
//! store come through a [`crate::store::heartbeats::HeartbeatStore`]. They count from the moment at which this process
//! hears of them.
//!
//! All times here are of the steady clock of this process ([`crate::clock::Clock::steady`]), except those that say
//! otherwise: no setting of a clock, here or on another machine, ends anything.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};

use super::clock_watch::ClockWatch;
use crate::store::heartbeats::{Heartbeat, HeartbeatKind};
use domain::change::{Event, Transition};
use domain::lease::{LeaseAct, Term};
use domain::record::{Looks, ObservedState, ResourceKey};
use domain::self_preservation::SelfPreservation;
use domain::{Lease, LeaseId, LeaseState};

/// How long an observation counts without a repetition: three times the interval of agents' reports.
pub const STALE: SignedDuration = SignedDuration::from_mins(3);

/// How long after its last report an agent keeps other agents from reporting for its host.
pub const AGENT_FRESH: SignedDuration = SignedDuration::from_secs(60);

/// The maximum number of agents that are remembered.
const MAX_AGENTS: usize = 10_000;

/// How long the heartbeats of an unknown lease are kept: its grant may be about to be published.
const UNPUBLISHED: SignedDuration = SignedDuration::from_mins(1);

/// An agent and its host; plugins without a host count as one host.
type AgentKey = (Option<Box<str>>, Box<str>);

/// Heartbeats, usable from any thread.
#[derive(Debug)]
pub struct Heartbeats {
    clocks: Arc<ClockWatch>,
    /// Microseconds since the Unix epoch.
    listening: AtomicI64,
    /// Renewals take the read lock only, so they do not wait for each other.
    leases: RwLock<HashMap<LeaseId, LeaseBeats, RandomState>>,
    sights: Mutex<HashMap<ResourceKey, LastObservation>>,
    agents: Mutex<HashMap<AgentKey, AgentHeard>>,
    /// When other processes last wrote an observation of an agent. Its report may be heard a little later.
    authors: Mutex<HashMap<Box<str>, Timestamp>>,
    self_preservation: Mutex<SelfPreservation>,
    /// The number of reports. A reader that knows this number has seen all reports before it.
    reports: AtomicI64,
}

/// What this process knows of a lease, in microseconds since the Unix epoch; 0 for never.
#[derive(Debug, Default)]
struct LeaseBeats {
    /// When it was granted or revived.
    granted: AtomicI64,
    /// When it was renewed here.
    here: AtomicI64,
    /// When another process was heard to say that it was renewed.
    elsewhere: AtomicI64,
}

impl LeaseBeats {
    fn renewed(&self) -> i64 {
        self.here.load(Ordering::Acquire).max(self.elsewhere.load(Ordering::Acquire))
    }

    fn last(&self) -> i64 {
        self.granted.load(Ordering::Acquire).max(self.renewed())
    }
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
    /// When it last reported, by the wall clock.
    pub at: Timestamp,
    /// Whether it counts as looking at its host.
    pub is_fresh: bool,
}

impl AgentHeard {
    fn last(self) -> Option<Timestamp> {
        self.here.max(self.elsewhere)
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
    pub fn new(clocks: Arc<ClockWatch>) -> Heartbeats {
        Heartbeats {
            listening: AtomicI64::new(clocks.steady().as_microsecond()),
            clocks,
            leases: RwLock::default(),
            sights: Mutex::default(),
            agents: Mutex::default(),
            authors: Mutex::default(),
            self_preservation: Mutex::default(),
            reports: AtomicI64::new(0),
        }
    }

    /// Since when this process receives all heartbeats that are sent to it.
    pub fn listening(&self) -> Timestamp {
        time(self.listening.load(Ordering::Acquire))
    }

    /// Starts anew: the process was paused, so earlier heartbeats do not say anything about now.
    pub(super) fn begin_again(&self) {
        self.listening.store(self.clocks.steady().as_microsecond(), Ordering::Release);
        self.leases.write().unwrap_or_else(PoisonError::into_inner).clear();
        lock(&self.agents).clear();
        lock(&self.authors).clear();
    }

    /// Records the renewal of a lease.
    pub fn renew(&self, id: &LeaseId) {
        self.note_lease(id, |beats| &beats.here);
    }

    /// Records that a lease was granted or revived, here or elsewhere.
    fn granted(&self, id: &LeaseId) {
        self.note_lease(id, |beats| &beats.granted);
    }

    fn note_lease(&self, id: &LeaseId, which: impl Fn(&LeaseBeats) -> &AtomicI64) {
        let micros = self.clocks.steady().as_microsecond();
        if let Some(beats) = self.leases.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            which(beats).fetch_max(micros, Ordering::AcqRel);
            return;
        }
        let mut leases = self.leases.write().unwrap_or_else(PoisonError::into_inner);
        which(leases.entry(id.clone()).or_default()).fetch_max(micros, Ordering::AcqRel);
    }

    /// The wall-clock time at which a lease was last renewed, granted or revived, as far as this process knows.
    pub fn renewed(&self, lease: &Lease) -> Timestamp {
        let leases = self.leases.read().unwrap_or_else(PoisonError::into_inner);
        let beats = leases.get(&lease.id).map(|beats| (beats.granted.load(Ordering::Acquire), beats.renewed()));
        let renewed = |least| {
            let (_, renewed) = beats.filter(|(granted, renewed)| renewed > granted.max(&least))?;
            Some(self.clocks.wall_of(time(renewed)))
        };
        match lease.state {
            LeaseState::Active => renewed(0).unwrap_or(lease.since),
            LeaseState::Lost | LeaseState::Released => {
                renewed(0).map_or(lease.granted_at, |last| last.min(lease.since).max(lease.granted_at))
            }
        }
    }

    /// When this process last heard of a lease.
    pub(super) fn heard_of(&self, id: &LeaseId) -> Option<Timestamp> {
        let leases = self.leases.read().unwrap_or_else(PoisonError::into_inner);
        leases.get(id).map(|beats| time(beats.last()))
    }

    /// When an active lease ends unless its holder renews it.
    pub fn ends_at(&self, lease: &Lease) -> Timestamp {
        Term { ttl: lease.ttl(), heard: self.heard_of(&lease.id), listening: self.listening() }.ends_at()
    }

    /// Drops the heartbeats of all leases except those for which `stands` returns true.
    pub(super) fn keep_leases(&self, stands: impl Fn(&LeaseId) -> bool) {
        let old = self.clocks.steady().saturating_sub(UNPUBLISHED).unwrap_or(Timestamp::MIN).as_microsecond();
        let mut leases = self.leases.write().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|id, beats| stands(id) || beats.last() > old);
    }

    /// When the hold of a host's leases ends; `None` if they are not held.
    pub fn held_until(&self, host: Option<&str>) -> Option<Timestamp> {
        lock(&self.self_preservation).until(host, self.clocks.steady())
    }

    /// The hosts whose leases are held.
    pub(super) fn self_preservation(&self) -> SelfPreservation {
        lock(&self.self_preservation).clone()
    }

    /// Sets the hosts whose leases are held.
    pub(super) fn brake(&self, self_preservation: SelfPreservation) {
        *lock(&self.self_preservation) = self_preservation;
    }

    /// Records an observation of a resource at a time of the steady clock; returns how often in a row it was the same.
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

    /// The counts of the observations of a resource in a state, with the time of the last one by the wall clock.
    pub fn looks(&self, key: &ResourceKey, state: ObservedState) -> Looks {
        let looks = self.steady_looks(key, state);
        Looks { last: looks.last.map(|last| self.clocks.wall_of(last)), ..looks }
    }

    fn steady_looks(&self, key: &ResourceKey, state: ObservedState) -> Looks {
        lock(&self.sights).get(key).filter(|sight| sight.state == state).map(|sight| sight.looks).unwrap_or_default()
    }

    /// Drops the counts of all resources except those for which `held` returns true.
    pub(super) fn keep_sights(&self, held: impl Fn(&ResourceKey) -> bool) {
        lock(&self.sights).retain(|key, _| held(key));
    }

    /// Records a report of an agent.
    pub(super) fn heard(&self, host: Option<&str>, by: &str) {
        let (agent, now): (AgentKey, _) = ((host.map(Into::into), by.into()), self.clocks.steady());
        let mut agents = lock(&self.agents);
        if agents.len() >= MAX_AGENTS && !agents.contains_key(&agent) {
            // A client that changes its name at each report must not take the memory of all.
            agents.retain(|_, heard| heard.last().is_some_and(|at| now.duration_since(at) < AGENT_FRESH));
        }
        if agents.len() < MAX_AGENTS || agents.contains_key(&agent) {
            agents.entry(agent).or_default().here = Some(now);
        }
        drop(agents);
        self.reports.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that another process wrote an observation of an agent.
    fn heard_elsewhere(&self, by: &str) {
        lock(&self.authors).insert(by.into(), self.clocks.steady());
    }

    /// Drops the agents whose last report is older than `age`.
    pub(super) fn forget_agents(&self, age: SignedDuration) {
        let before = self.clocks.steady().saturating_sub(age).unwrap_or(Timestamp::MIN);
        lock(&self.agents).retain(|_, heard| heard.last().is_some_and(|at| at >= before));
        lock(&self.authors).retain(|_, at| *at >= before);
    }

    /// The agent other than `by` that reports for a host, and the time of its last report by the wall clock.
    pub(super) fn other_agent(&self, host: &str, by: &str) -> Option<(Box<str>, Timestamp)> {
        let now = self.clocks.steady();
        let agents = lock(&self.agents);
        let others = agents.iter().filter(|((of, who), _)| of.as_deref() == Some(host) && **who != *by);
        let heard = others.filter_map(|((_, who), heard)| Some((who.clone(), heard.last()?)));
        let fresh = heard.filter(|(_, at)| now.duration_since(*at) < AGENT_FRESH).max_by_key(|(_, at)| *at);
        fresh.map(|(who, at)| (who, self.clocks.wall_of(at)))
    }

    /// The hosts whose agents reported lately.
    pub fn hosts(&self) -> BTreeSet<Box<str>> {
        let now = self.clocks.steady();
        let agents = lock(&self.agents);
        let fresh = |heard: &AgentHeard| heard.last().is_some_and(|at| now.duration_since(at) < AGENT_FRESH);
        agents.iter().filter(|(_, heard)| fresh(heard)).filter_map(|((host, _), _)| host.clone()).collect()
    }

    /// The agents that this process has heard of, each with its host in normal form and the time of its last report.
    pub fn agents(&self) -> Vec<HeardAgent> {
        let now = self.clocks.steady();
        let agents = lock(&self.agents);
        let heard = agents.iter().filter_map(|((host, by), heard)| {
            let last = heard.last()?;
            let is_fresh = now.duration_since(last) < AGENT_FRESH;
            Some(HeardAgent { host: host.clone(), by: by.clone(), at: self.clocks.wall_of(last), is_fresh })
        });
        heard.collect()
    }

    /// When a resource that `by` observed in a state was last observed so, or may have been.
    ///
    /// The process knows its own observations exactly. Of an agent that reports to another process, it knows only the
    /// last report. Observations from before this process started get the full time again.
    pub fn fresh_at(&self, key: &ResourceKey, state: ObservedState, by: &str) -> Timestamp {
        let here = self.steady_looks(key, state).last;
        let agents = lock(&self.agents);
        let elsewhere =
            agents.iter().filter(|((_, who), _)| **who == *by).filter_map(|(_, heard)| heard.elsewhere).max();
        let written = lock(&self.authors).get(by).copied();
        here.max(elsewhere).max(written).unwrap_or(Timestamp::MIN).max(self.listening())
    }

    /// The wall-clock time of a moment.
    pub(super) fn wall_of(&self, steady: Timestamp) -> Timestamp {
        self.clocks.wall_of(steady)
    }

    /// Notes what changes of other processes say about leases and agents: from now on their time counts.
    pub(super) fn hear_elsewhere(&self, transitions: &[Arc<Transition>]) {
        for transition in transitions {
            self.hear_of_lease(&transition.change.event);
            if let Event::ResourcesObserved { seen, .. } = &transition.change.event {
                for by in seen.iter().map(|seen| &seen.observation.by).collect::<BTreeSet<_>>() {
                    self.heard_elsewhere(by);
                }
            }
        }
    }

    /// Notes what a change says about a lease.
    pub(super) fn hear_of_lease(&self, event: &Event) {
        if let Event::Lease { id, act: LeaseAct::Granted(..) | LeaseAct::Revived } = event {
            self.granted(id);
        }
    }

    /// The number of reports.
    pub(super) fn reports(&self) -> i64 {
        self.reports.load(Ordering::Acquire)
    }

    /// The heartbeats that this process received after a moment, for the other processes.
    pub(super) fn beats_after(&self, moment: Timestamp) -> Vec<Heartbeat> {
        let after = moment.as_microsecond();
        let mut beats = Vec::new();
        for (id, of_lease) in &*self.leases.read().unwrap_or_else(PoisonError::into_inner) {
            let here = of_lease.here.load(Ordering::Acquire);
            if here > 0 && here > after {
                beats.push(Heartbeat { kind: HeartbeatKind::Lease, name: id.to_string() });
            }
        }
        for ((host, by), heard) in &*lock(&self.agents) {
            if heard.here.is_some_and(|at| at > moment) {
                let name = serde_json::json!([host, by]).to_string();
                beats.push(Heartbeat { kind: HeartbeatKind::Agent, name });
            }
        }
        beats
    }

    /// Records what other processes were heard to say.
    pub(super) fn merge(&self, beats: &[Heartbeat]) {
        for Heartbeat { kind, name } in beats {
            match kind {
                HeartbeatKind::Lease => self.note_lease(&LeaseId::named(name), |beats| &beats.elsewhere),
                HeartbeatKind::Agent => {
                    let Ok(agent) = serde_json::from_str::<AgentKey>(name) else { continue };
                    lock(&self.agents).entry(agent).or_default().elsewhere = Some(self.clocks.steady());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_client_that_changed_its_name_at_each_report_took_memory_for_each() {
        let clock = Arc::new(ManualClock::new(time(0)));
        let heartbeats = Heartbeats::new(Arc::new(ClockWatch::new(clock.clone(), Counter::default())));
        for second in 0..3 {
            for name in 0..MAX_AGENTS {
                heartbeats.heard(None, &format!("{second} {name}"));
            }
            assert_eq!(lock(&heartbeats.agents).len(), MAX_AGENTS);
            clock.advance(AGENT_FRESH);
        }
        heartbeats.heard(None, "3");
        assert_eq!(lock(&heartbeats.agents).len(), 1, "silent names make room");
    }

    #[test]
    fn an_agent_that_has_been_silent_is_forgotten() {
        let clock = Arc::new(ManualClock::new(time(0)));
        let heartbeats = Heartbeats::new(Arc::new(ClockWatch::new(clock.clone(), Counter::default())));
        heartbeats.heard(Some("h"), "silent");
        clock.advance(SignedDuration::from_secs(20));
        heartbeats.heard(Some("h"), "talks");
        clock.set(SignedDuration::from_hours(10_000));
        heartbeats.forget_agents(SignedDuration::from_secs(15));
        let told: Vec<_> = heartbeats.beats_after(Timestamp::MIN).into_iter().map(|pulse| pulse.name).collect();
        assert_eq!(told, [r#"["h","talks"]"#]);
    }
}
