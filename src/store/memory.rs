//! A journal in memory, which ends with the process: for tests, trials, and as the reference for the other stores.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::archive::baseline::standing;
use super::archive::{Auxiliary, Part};
use super::heartbeats::{HeartbeatStore, MemoryHeartbeats};
use super::hours::PassedHours;
use super::tokens::MemoryTokens;
use super::webhooks::MemoryWebhooks;
use super::{
    Batch, CHANGE, ChangeCounts, Held, HeldPage, History, Journal, ReadPace, StoreError, TokenStore, WebhookStore,
};
use crate::clock::new_identity;
use domain::change::history::{ChangePage, ChangeRange, PriorState};
use domain::change::{Change, Event, Step, Transition};
use domain::command::answer_quota::{AnswerQuota, AnswerShares};
use domain::command::idempotency::KeptAnswer;
use domain::plugin::UniqueId;
use domain::query::spans::{HeldChange, HeldState};
use domain::steps::Steps;
use domain::{Revision, Snapshot, State, StoreId};

/// The journal of one process, in memory.
#[derive(Debug)]
pub struct MemoryJournal {
    store: StoreId,
    kept: Arc<Mutex<MemoryContents>>,
    webhooks: Arc<MemoryWebhooks>,
    beats: Arc<MemoryHeartbeats>,
    tokens: Arc<MemoryTokens>,
}

/// The changes, oldest first. Each has the state of its subject before it, so earlier changes are not needed.
#[derive(Debug, Default)]
struct MemoryContents {
    compact_revision: Revision,
    /// The time of the change at the compact revision; `None` before the first compaction.
    horizon_at: Option<Timestamp>,
    transitions: VecDeque<Arc<Transition>>,
    /// The state after the changes.
    state: State,
    answers: BTreeMap<Box<str>, KeptAnswer>,
    /// The hours through which the registry has run, and the head after each.
    hours: BTreeMap<u64, Revision>,
}

/// [`MemoryContents`], for readers beside the writer.
#[derive(Debug)]
struct MemoryHistory {
    store: StoreId,
    kept: Arc<Mutex<MemoryContents>>,
    webhooks: Arc<MemoryWebhooks>,
    tokens: Arc<MemoryTokens>,
}

impl MemoryJournal {
    /// An empty journal with a new identity.
    pub fn new() -> MemoryJournal {
        MemoryJournal {
            store: StoreId::new(new_identity()),
            kept: Arc::default(),
            webhooks: Arc::default(),
            beats: Arc::default(),
            tokens: Arc::default(),
        }
    }
}

impl Default for MemoryJournal {
    fn default() -> MemoryJournal {
        MemoryJournal::new()
    }
}

fn lock(kept: &Mutex<MemoryContents>) -> MutexGuard<'_, MemoryContents> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryContents {
    /// The changes after a revision, without gaps.
    fn after(&self, revision: Revision) -> impl DoubleEndedIterator<Item = &Arc<Transition>> {
        let skipped = revision.0.saturating_sub(self.compact_revision.0);
        self.transitions.range(usize::try_from(skipped).unwrap_or(usize::MAX).min(self.transitions.len())..)
    }
}

impl Journal for MemoryJournal {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot { store: self.store.clone(), state: lock(&self.kept).state.clone() })
    }

    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.foreign_changes(known)
    }

    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
        let kept = lock(&self.kept);
        Ok(keys.iter().filter_map(|key| kept.answers.get(*key).cloned()).collect())
    }

    fn forget_answers(&mut self, before: u64, _limit: usize) -> Result<(), StoreError> {
        lock(&self.kept).answers.retain(|_, answer| answer.hour >= before);
        Ok(())
    }

    fn bound_answers(&mut self, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
        let mut kept = lock(&self.kept);
        let mut shares = AnswerShares::new();
        for answer in kept.answers.values() {
            *shares.entry(answer.token().into()).or_default() += answer.bytes();
        }
        let mut surplus = quota.surplus(&shares);
        if surplus.is_empty() {
            return Ok(0);
        }
        let mut oldest: Vec<_> = kept.answers.values().map(|answer| (answer.hour, answer.at, &answer.key)).collect();
        oldest.sort_unstable();
        let oldest: Vec<_> = oldest.into_iter().map(|(_, _, key)| key.clone()).collect();
        let mut dropped = 0;
        for key in oldest {
            let Some(answer) = kept.answers.get(&key).filter(|_| dropped < limit) else { break };
            if let Some(surplus) = surplus.get_mut(answer.token()).filter(|surplus| **surplus > 0) {
                *surplus = surplus.saturating_sub(answer.bytes());
                kept.answers.remove(&key);
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    fn hour(&mut self) -> Result<u64, StoreError> {
        Ok(lock(&self.kept).hours.last_key_value().map_or(0, |(hour, _)| *hour))
    }

    fn pass_hours(&mut self, passed: &PassedHours) -> Result<u64, StoreError> {
        let mut kept = lock(&self.kept);
        let head = kept.state.revision();
        kept.hours.extend(passed.rows(head));
        Ok(kept.hours.last_key_value().map_or(0, |(hour, _)| *hour))
    }

    fn revision_at_hour(&mut self, hour: u64) -> Result<Revision, StoreError> {
        Ok(lock(&self.kept).hours.range(..=hour).next_back().map_or_else(Revision::default, |(_, revision)| *revision))
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        let mut kept = lock(&self.kept);
        kept.answers.extend(batch.answers.iter().map(|answer| (answer.key.clone(), answer.clone())));
        kept.transitions.extend(batch.transitions.iter().cloned());
        kept.state = batch.state.clone();
        Ok(())
    }

    fn roll_back(&mut self) {}

    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.read(known.revision(), usize::MAX)
    }

    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        let kept = lock(&self.kept);
        if after < kept.compact_revision {
            return Err(StoreError::Compacted { after, compact_revision: kept.compact_revision });
        }
        Ok(kept.after(after).take(limit).map(|transition| transition.change.clone()).collect())
    }

    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError> {
        let mut kept = lock(&self.kept);
        let surplus = compact_revision.0.min(kept.state.revision().0).saturating_sub(kept.compact_revision.0);
        let surplus = usize::try_from(surplus).unwrap_or(usize::MAX).min(steps);
        let last = kept.transitions.drain(..surplus).next_back();
        if let Some(last) = last {
            (kept.compact_revision, kept.horizon_at) = (last.change.revision, Some(last.change.at));
        }
        Ok(kept.compact_revision)
    }

    fn history(&self) -> Arc<dyn History> {
        let (kept, webhooks) = (Arc::clone(&self.kept), Arc::clone(&self.webhooks));
        Arc::new(MemoryHistory { store: self.store.clone(), kept, webhooks, tokens: Arc::clone(&self.tokens) })
    }

    fn webhooks(&self) -> Arc<dyn WebhookStore> {
        Arc::clone(&self.webhooks) as Arc<dyn WebhookStore>
    }

    fn heartbeat_store(&self) -> Arc<dyn HeartbeatStore> {
        Arc::clone(&self.beats) as Arc<dyn HeartbeatStore>
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        Arc::clone(&self.tokens) as Arc<dyn TokenStore>
    }

    fn close(&mut self) {}
}

impl History for MemoryHistory {
    fn read(&self, range: &ChangeRange, _pace: &ReadPace<'_>) -> Result<ChangePage, StoreError> {
        let kept = lock(&self.kept);
        let found =
            kept.after(range.after.max(kept.compact_revision)).filter(|transition| range.contains(transition)).cloned();
        let transitions: Vec<_> =
            if range.descending { found.rev().take(range.limit).collect() } else { found.take(range.limit).collect() };
        let is_all = transitions.len() < range.limit;
        Ok(ChangePage { compact_revision: kept.compact_revision, transitions, is_all })
    }

    fn rewind(&self, revision: Revision, pace: &ReadPace<'_>) -> Result<PriorState, StoreError> {
        let kept = lock(&self.kept);
        let mut prior = PriorState { compact_revision: kept.compact_revision, ..PriorState::default() };
        if revision < kept.compact_revision {
            return Ok(prior);
        }
        let mut plugins = BTreeMap::new();
        let mut leases = BTreeMap::new();
        for transition in kept.after(revision) {
            pace.step(CHANGE)?;
            // The first change after that revision has the state before it.
            if let Some(id) = transition.records().next().map(|record| record.unique_id.clone()) {
                plugins.entry(id).or_insert_with(|| transition.before().cloned());
            }
            if let (Event::Lease { id, .. }, Step::Lease { before, .. }) = (&transition.change.event, &transition.step)
            {
                leases.entry(id.clone()).or_insert_with(|| before.clone());
            }
        }
        prior.plugins = plugins.into_iter().collect();
        prior.leases = leases.into_iter().collect();
        Ok(prior)
    }

    fn revision_at(&self, time: Timestamp) -> Result<Option<Revision>, StoreError> {
        let kept = lock(&self.kept);
        // A clock that was wrong may have written a later time before an earlier one.
        let newest = kept.transitions.iter().rev().find(|transition| transition.change.at <= time);
        // The time of the compact revision is known, though its change is not.
        let at_horizon = || kept.horizon_at.filter(|at| *at <= time).map(|_| kept.compact_revision);
        Ok(newest.map(|transition| transition.change.revision).or_else(at_horizon))
    }

    fn held(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<HeldPage, StoreError> {
        let page = self.read(range, pace)?;
        let held = |transition: &Arc<Transition>| {
            let Step::Plugin { after, .. } = &transition.step else { return None };
            let id = UniqueId::from_client(&transition.change.event.subject());
            let held = after.as_ref().map(|record| HeldState::from(&**record));
            Some(HeldChange { at: transition.change.at, id, held })
        };
        Ok(HeldPage {
            changes: page.transitions.iter().filter_map(held).collect(),
            last: page.transitions.last().map(|last| last.change.revision),
            read: page.transitions.len(),
            is_all: page.is_all,
        })
    }

    fn held_at(&self, revision: Revision, plugin: Option<&UniqueId>, pace: &ReadPace<'_>) -> Result<Held, StoreError> {
        let prior = self.rewind(revision, pace)?.plugins.into_iter();
        let wanted = prior.filter(|(id, _)| plugin.is_none_or(|plugin| plugin == id));
        Ok(wanted.map(|(id, record)| (id, record.map(|record| HeldState::from(&*record)))).collect())
    }

    fn count(&self, range: &ChangeRange, steps: Steps) -> Result<ChangeCounts, StoreError> {
        let kept = lock(&self.kept);
        let mut counted = ChangeCounts { compact_revision: kept.compact_revision, ..ChangeCounts::default() };
        for transition in kept.after(range.after.max(kept.compact_revision)).filter(|one| range.contains(one)) {
            if let Some(index) = steps.index(transition.change.at) {
                *counted.counts.entry((index, transition.change.event.kind())).or_default() += 1;
            }
        }
        Ok(counted)
    }

    /// Without the history: the state at the compact revision is not stored in the form of an archive.
    fn dump(&self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let (state, answers) = {
            let kept = lock(&self.kept);
            (kept.state.clone(), kept.answers.clone())
        };
        let (changes, compact_revision) = (standing(&state)?, state.revision());
        visit(Part::Head { snapshot: Snapshot { store: self.store.clone(), state }, compact_revision })?;
        for token in self.tokens.rows()? {
            visit(Part::Auxiliary(Auxiliary::Token(token)))?;
        }
        for webhook in self.webhooks.list()? {
            visit(Part::Auxiliary(Auxiliary::Webhook(webhook)))?;
        }
        for answer in answers.into_values() {
            visit(Part::Auxiliary(Auxiliary::Answer(answer)))?;
        }
        changes.into_iter().try_for_each(|row| visit(Part::Change(row)))
    }
}
