//! What follows from time passing: leases end, what was seen grows stale, findings ripen.
//!
//! One pass a second, by the registry's clock. A pass asks what is to be done and submits it as commands; the rules
//! look again whether it still holds. A pass that comes late has missed something: see [`Sweeper::sweep`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info};

use super::assessment;
use super::assessment::AssessmentPass;
use super::handle::{Pending, Registry};
use super::health::WriterHealth;
use super::submit_error::SubmitError;
use crate::registry::on_gone::OnGone;
use crate::store::StoreError;
use crate::store::heartbeats::Heartbeat;
use domain::command::{Command, Request};
use domain::index::IndexKey;
use domain::lease::FORGOTTEN_AFTER;
use domain::self_preservation::{LeaseCount, SelfPreservation};
use domain::{Lease, LeaseState, Revision, State};

/// How often a pass is made.
const EVERY: Duration = Duration::from_secs(1);

/// How late a pass may come before this process counts as having stood still.
const LATE: SignedDuration = SignedDuration::from_secs(20);

/// How far the clock may go back before it counts as having been set.
const BACK: SignedDuration = SignedDuration::from_secs(2);

/// How far back signs of life are read again: another process may have written them late.
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);

/// How long it takes at most from the moment of a renewal until it is noted: those of the last moments are told again.
const NOTING: SignedDuration = SignedDuration::from_millis(100);

/// How often it is looked for what can be forgotten.
const TIDY_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Makes the passes. One is enough for a process; several processes on one store do not disturb each other.
pub struct Sweeper {
    registry: Registry,
    on_gone: OnGone,
    /// When the last pass was made.
    last: Timestamp,
    /// Signs of life up to here were shared.
    shared: Timestamp,
    /// Those of others were read up to here.
    read: Timestamp,
    /// When it was looked last for what can be forgotten.
    tidied: Timestamp,
    judged: Option<Judged>,
    /// Whether the registry had not been read from its store at the last pass.
    is_unloaded: bool,
}

/// What the last judgement of the resources rested on.
struct Judged {
    revision: Revision,
    reports: i64,
    /// When it has to be made anew although nothing has happened.
    due: Timestamp,
}

impl Sweeper {
    /// A sweeper that has made no pass yet.
    pub fn new(registry: Registry, on_gone: OnGone) -> Sweeper {
        let now = registry.clock().now();
        Sweeper {
            registry,
            on_gone,
            last: now,
            shared: Timestamp::MIN,
            read: Timestamp::MIN,
            tidied: now,
            judged: None,
            is_unloaded: false,
        }
    }

    /// Makes passes until `stop`, and then tells the others what was heard last.
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
        self.exchange(self.registry.clock().now()).await;
    }

    /// Makes one pass.
    ///
    /// When it comes much later than the one before, or earlier, this process has stood still or the clock was set: then
    /// everybody is given the time that they are given after a restart.
    pub async fn sweep(&mut self) {
        let now = self.registry.clock().now();
        if matches!(self.registry.health(), WriterHealth::Starting { .. }) {
            // Nobody can be heard of before it is known who there is.
            self.is_unloaded = true;
            return;
        }
        let passed = now.duration_since(self.last);
        if std::mem::take(&mut self.is_unloaded) || passed > LATE || passed < -BACK {
            info!(seconds = passed.as_secs(), "this process was away; leases are given time to be renewed");
            self.registry.heartbeats().begin_again(now);
            self.judged = None;
            (self.shared, self.read) = (self.shared.min(now), self.read.min(now));
        }
        self.last = now;
        self.exchange(now).await;
        let done = async {
            self.expire_leases(now).await?;
            self.judge(now).await?;
            self.tidy(now).await
        };
        // The writer has told why; the next pass tries again.
        if let Err(error) = done.await {
            debug!(%error, "a pass could not be finished");
        }
    }

    /// Tells other processes on the store what was heard, and hears what they have.
    async fn exchange(&mut self, now: Timestamp) {
        let beats = self.registry.heartbeats().beats_after(self.shared);
        let state = &self.registry.snapshot().state;
        if beats.is_empty() && state.leases().is_empty() && state.having(&IndexKey::Observed).is_none() {
            // Nobody's life is of concern.
            return;
        }
        let after = self.read.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN);
        let store = Arc::clone(self.registry.heartbeat_store());
        let exchanged = tokio::task::spawn_blocking(move || -> Result<Vec<Heartbeat>, StoreError> {
            if !beats.is_empty() {
                store.share(&beats)?;
            }
            if store.has_news()? { store.shared(after) } else { Ok(Vec::new()) }
        });
        match exchanged.await {
            Ok(Ok(heard)) => {
                self.registry.heartbeats().merge(&heard);
                self.shared = now.saturating_sub(NOTING).unwrap_or(Timestamp::MIN);
                self.read = now;
            }
            Ok(Err(failure)) => debug!(error = failure.chain(), "signs of life could not be shared"),
            Err(_) => debug!("signs of life could not be shared"),
        }
    }

    /// Calls those leases lost that were not renewed in time, but for those of hosts that are held.
    async fn expire_leases(&mut self, now: Timestamp) -> Result<(), SubmitError> {
        let snapshot = self.registry.snapshot();
        let heartbeats = self.registry.heartbeats();
        let active = || snapshot.state.leases().values().filter(|lease| lease.state == LeaseState::Active);
        let due: Vec<&Arc<Lease>> = active().filter(|lease| heartbeats.ends_at(lease, now) <= now).collect();
        if due.is_empty() {
            heartbeats.brake(SelfPreservation::default());
            return Ok(());
        }
        let mut counts: BTreeMap<Option<Box<str>>, LeaseCount> = BTreeMap::new();
        for lease in active() {
            counts.entry(lease.host.clone()).or_default().active += 1;
        }
        for lease in &due {
            counts.entry(lease.host.clone()).or_default().due += 1;
        }
        let self_preservation = heartbeats.self_preservation().at(now, &counts);
        heartbeats.brake(self_preservation.clone());
        let lost: Vec<_> = due
            .into_iter()
            .filter(|lease| self_preservation.until(lease.host.as_deref(), now).is_none())
            .map(|lease| (lease, heartbeats.renewed(lease)))
            .collect();
        let expire = |lease: &Lease| Command::ExpireLease { id: lease.id.clone(), revision: lease.revision };
        self.submit_all(lost.iter().map(|(lease, _)| expire(lease)).collect()).await?;
        // Renewed while it was being called lost: the holder lives.
        let renewed = lost.iter().filter(|(lease, before)| heartbeats.renewed_since(&lease.id, *before));
        let revive = renewed.map(|(lease, _)| Command::RenewLease { id: lease.id.clone() });
        self.submit_all(revive.collect()).await
    }

    /// Judges what is held, if anything has happened that could change the judgement.
    async fn judge(&mut self, now: Timestamp) -> Result<(), SubmitError> {
        let snapshot = self.registry.snapshot();
        let (revision, reports) = (snapshot.state.revision(), self.registry.heartbeats().reports());
        let stands = |judged: &Judged| judged.revision == revision && judged.reports == reports && now < judged.due;
        if self.judged.as_ref().is_some_and(stands) {
            return Ok(());
        }
        let (registry, on_gone) = (self.registry.clone(), self.on_gone);
        let round = tokio::task::spawn_blocking(move || {
            AssessmentPass::at(&snapshot.state, registry.heartbeats(), now, on_gone)
        });
        let AssessmentPass { commands, due } = round.await.map_err(|_| SubmitError::WriterFailed)?;
        self.submit_all(commands).await?;
        self.judged = Some(Judged { revision, reports, due });
        Ok(())
    }

    /// Forgets what is of no use any more.
    async fn tidy(&mut self, now: Timestamp) -> Result<(), SubmitError> {
        if now.duration_since(self.tidied) < TIDY_EVERY {
            return Ok(());
        }
        self.tidied = now;
        let snapshot = self.registry.snapshot();
        let state = &snapshot.state;
        let heartbeats = self.registry.heartbeats();
        heartbeats.keep_leases(|id| state.lease(id.as_str()).is_some());
        assessment::forget_sights(state, heartbeats);
        let old = now.saturating_sub(FORGOTTEN_AFTER).unwrap_or(Timestamp::MIN);
        heartbeats.forget_agents(old);
        let store = Arc::clone(self.registry.heartbeat_store());
        if let Ok(Err(failure)) = tokio::task::spawn_blocking(move || store.forget(old)).await {
            debug!(error = failure.chain(), "old signs of life could not be forgotten");
        }
        self.submit_all(forgettable(state, old)).await
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

/// Leases that ended before a time, and that no plugin names.
fn forgettable(state: &State, before: Timestamp) -> Vec<Command> {
    let ended = state.leases().values().filter(|lease| lease.state != LeaseState::Active && lease.since < before);
    let named = |lease: &Lease| state.indexes().count(&IndexKey::Lease(lease.id.as_str().into())) > 0;
    ended
        .filter(|lease| !named(lease))
        .map(|lease| Command::ForgetLease { id: lease.id.clone(), revision: lease.revision })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_what_is_gone_is_named() {
        for (text, value) in [("mark", OnGone::Mark), ("prune", OnGone::Prune)] {
            assert_eq!(text.parse(), Ok(value));
            assert_eq!(value.to_string(), text);
        }
        assert!("kill".parse::<OnGone>().is_err());
    }
}
