//! The effects of passing time: leases end, observations become stale, findings become due.
//!
//! The sweeper makes one pass a second, by the steady clock. A pass submits commands, and the rules check them
//! again. A late pass means that the process was paused: see [`Sweeper::sweep`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info};

use super::assessment;
use super::assessment::AssessmentPass;
use super::clock_watch::{ClockJump, Moment};
use super::handle::{Pending, Registry};
use super::health::WriterHealth;
use super::submit_error::SubmitError;
use crate::store::StoreError;
use crate::store::heartbeats::Heartbeat;
use domain::command::{Command, Request, lease_rules};
use domain::host;
use domain::index::IndexKey;
use domain::lease::{MAX_ENDED_LEASES, OnGone};
use domain::self_preservation::{LeaseCount, SelfPreservation};
use domain::{Lease, LeaseState, Revision, State};

/// The interval of passes.
const EVERY: Duration = Duration::from_secs(1);

/// The delay of a pass after which the process counts as paused.
const LATE: SignedDuration = SignedDuration::from_secs(20);

/// The maximum delay between a renewal's time and its record. Heartbeats this recent are shared again.
const NOTING: SignedDuration = SignedDuration::from_millis(100);

/// How long an agent is remembered after its last report, for the list of hosts.
const AGENT_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// How often to look for records that can be dropped.
const TIDY_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Makes the passes. One per process is enough; several processes on one store do not disturb each other.
pub struct Sweeper {
    registry: Registry,
    on_gone: OnGone,
    /// When the last pass was made. All times here are of the steady clock.
    last: Timestamp,
    /// Heartbeats up to here were shared.
    shared: Timestamp,
    /// When records were last dropped.
    tidied: Timestamp,
    /// The setting of the clock that the last pass knew.
    jump: Option<ClockJump>,
    judged: Option<Judged>,
    /// Whether the store was not loaded at the last pass.
    is_unloaded: bool,
}

/// The inputs of the last assessment.
struct Judged {
    revision: Revision,
    reports: i64,
    /// When a new assessment is due even without a change.
    due: Timestamp,
}

impl Sweeper {
    /// A sweeper before its first pass.
    pub fn new(registry: Registry, on_gone: OnGone) -> Sweeper {
        let now = registry.clocks().steady();
        Sweeper {
            registry,
            on_gone,
            last: now,
            shared: Timestamp::MIN,
            tidied: now,
            jump: None,
            judged: None,
            is_unloaded: false,
        }
    }

    /// Makes passes until `stop`, and then shares the last heartbeats.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = ticks.tick() => self.sweep().await,
            }
        }
        self.exchange(self.registry.clocks().steady()).await;
    }

    /// Makes one pass.
    ///
    /// If the pass is much later than the last one, the process was paused. Then all leases and resources get the same
    /// time as after a restart. A wall clock that was set ends nothing and prolongs nothing.
    pub async fn sweep(&mut self) {
        let moment = self.registry.clocks().look();
        let now = moment.steady;
        if matches!(self.registry.health(), WriterHealth::Starting { .. }) {
            // Heartbeats mean nothing before the leases are loaded.
            self.is_unloaded = true;
            return;
        }
        let passed = now.duration_since(self.last);
        if std::mem::take(&mut self.is_unloaded) || passed > LATE {
            info!(seconds = passed.as_secs(), "this process was paused; leases get time to be renewed");
            self.registry.heartbeats().begin_again();
            self.judged = None;
        }
        if std::mem::replace(&mut self.jump, self.registry.clocks().last_jump()) != self.registry.clocks().last_jump() {
            // Findings wait for times of the wall clock.
            self.judged = None;
        }
        self.last = now;
        self.exchange(now).await;
        let done = async {
            self.expire_leases(now).await?;
            self.judge(moment).await?;
            self.tidy(now).await
        };
        // The writer logs the reason; the next pass tries again.
        if let Err(error) = done.await {
            debug!(%error, "a pass of the sweeper failed");
        }
    }

    /// Shares heartbeats with other processes on the store, and reads theirs.
    async fn exchange(&mut self, now: Timestamp) {
        let beats = self.registry.heartbeats().beats_after(self.shared);
        let state = &self.registry.snapshot().state;
        if beats.is_empty() && state.leases().is_empty() && state.having(&IndexKey::Observed).is_none() {
            // There is nothing to share.
            return;
        }
        let store = Arc::clone(self.registry.heartbeat_store());
        let exchanged = tokio::task::spawn_blocking(move || -> Result<Vec<Heartbeat>, StoreError> {
            if !beats.is_empty() {
                store.share(&beats)?;
            }
            if store.has_news()? { store.news() } else { Ok(Vec::new()) }
        });
        match exchanged.await {
            Ok(Ok(heard)) => {
                self.registry.heartbeats().merge(&heard);
                self.shared = now.saturating_sub(NOTING).unwrap_or(Timestamp::MIN);
            }
            Ok(Err(failure)) => debug!(error = failure.chain(), "cannot share heartbeats"),
            Err(_) => debug!("cannot share heartbeats"),
        }
    }

    /// Marks the overdue leases as lost, except on hosts whose leases are held.
    async fn expire_leases(&mut self, now: Timestamp) -> Result<(), SubmitError> {
        let snapshot = self.registry.snapshot();
        let heartbeats = self.registry.heartbeats();
        let active = || snapshot.state.leases().values().filter(|lease| lease.state == LeaseState::Active);
        let due: Vec<&Arc<Lease>> = active().filter(|lease| heartbeats.ends_at(lease) <= now).collect();
        if due.is_empty() {
            heartbeats.brake(SelfPreservation::default());
            return Ok(());
        }
        let mut counts: BTreeMap<Option<Box<str>>, LeaseCount> = BTreeMap::new();
        for lease in active() {
            counts.entry(host::normal_of(lease.host.as_deref())).or_default().active += 1;
        }
        for lease in &due {
            counts.entry(host::normal_of(lease.host.as_deref())).or_default().due += 1;
        }
        let self_preservation = heartbeats.self_preservation().at(now, &counts);
        heartbeats.brake(self_preservation.clone());
        let lost: Vec<_> = due
            .into_iter()
            .filter(|lease| self_preservation.until(lease.host.as_deref(), now).is_none())
            .map(|lease| (lease, heartbeats.heard_of(&lease.id)))
            .collect();
        let expire = |lease: &Lease| Command::ExpireLease { id: lease.id.clone(), revision: lease.revision };
        self.submit_all(lost.iter().map(|(lease, _)| expire(lease)).collect()).await?;
        // Renewed while the command was in the queue: the holder is alive.
        let renewed = lost.iter().filter(|(lease, before)| heartbeats.heard_of(&lease.id) > *before);
        let revive = renewed.map(|(lease, _)| Command::RenewLease { id: lease.id.clone() });
        self.submit_all(revive.collect()).await
    }

    /// Assesses all resources, if something happened that could change the result.
    async fn judge(&mut self, moment: Moment) -> Result<(), SubmitError> {
        let now = moment.steady;
        let snapshot = self.registry.snapshot();
        let (revision, reports) = (snapshot.state.revision(), self.registry.heartbeats().reports());
        let stands = |judged: &Judged| judged.revision == revision && judged.reports == reports && now < judged.due;
        if self.judged.as_ref().is_some_and(stands) {
            return Ok(());
        }
        let (registry, on_gone) = (self.registry.clone(), self.on_gone);
        let round = tokio::task::spawn_blocking(move || {
            AssessmentPass::at(&snapshot.state, registry.heartbeats(), moment, on_gone)
        });
        let AssessmentPass { commands, due, .. } = round.await.map_err(|_| SubmitError::WriterFailed)?;
        self.submit_all(commands).await?;
        self.judged = Some(Judged { revision, reports, due });
        Ok(())
    }

    /// Drops records that are no longer needed.
    async fn tidy(&mut self, now: Timestamp) -> Result<(), SubmitError> {
        if now.duration_since(self.tidied) < TIDY_EVERY && !is_crowded(&self.registry.snapshot().state) {
            return Ok(());
        }
        self.tidied = now;
        let snapshot = self.registry.snapshot();
        let state = &snapshot.state;
        let heartbeats = self.registry.heartbeats();
        heartbeats.keep_leases(|id| state.lease(id.as_str()).is_some());
        assessment::forget_sights(state, heartbeats);
        heartbeats.forget_agents(AGENT_KEPT);
        let store = Arc::clone(self.registry.heartbeat_store());
        if let Ok(Err(failure)) = tokio::task::spawn_blocking(move || store.forget()).await {
            debug!(error = failure.chain(), "cannot delete old heartbeats");
        }
        // The writer counts the hours.
        self.registry.catch_up().await?;
        self.submit_all(forgettable(state, self.registry.day_old())).await
    }

    /// Submits commands together, and waits for all of them.
    async fn submit_all(&self, commands: Vec<Command>) -> Result<(), SubmitError> {
        let mut pending: Vec<Pending> = Vec::with_capacity(commands.len());
        for command in commands {
            pending.push(self.registry.enqueue(Request::plain(command)).await?);
        }
        for pending in pending {
            pending.outcome().await?;
        }
        Ok(())
    }
}

/// Leases that nothing names, and that ended before or at a revision, or are surplus.
fn forgettable(state: &State, old: Revision) -> Vec<Command> {
    let ended = state.leases().values().filter(|lease| lease.state != LeaseState::Active);
    let mut unnamed: Vec<&Arc<Lease>> = ended.filter(|lease| !lease_rules::is_named(state, &lease.id)).collect();
    unnamed.sort_by_key(|lease| lease.revision);
    let surplus = unnamed.len().saturating_sub(MAX_ENDED_LEASES);
    let forgotten = unnamed.into_iter().enumerate().filter(|(place, lease)| *place < surplus || lease.revision <= old);
    forgotten.map(|(_, lease)| Command::ForgetLease { id: lease.id.clone(), revision: lease.revision }).collect()
}

/// Whether there may be so many ended leases that some must be forgotten before their time.
fn is_crowded(state: &State) -> bool {
    state.leases().size() - state.active_leases().all() > 2 * MAX_ENDED_LEASES
}
