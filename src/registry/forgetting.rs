//! Drops what the store has kept for long enough: changes beyond the retention, and stored responses.

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tracing::debug;

use super::aging::{Aging, DayOld};
use crate::store::Journal;
use domain::Revision;
use domain::change::retention::Retention;
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;

/// The number of changes that one compaction step removes: few enough to take no longer than a commit, and enough to be
/// seldom needed between two commits.
pub(super) const FORGOTTEN_AT_A_TIME: usize = 1_000;

/// What the writer knows of the age of what is kept.
#[derive(Debug)]
pub(super) struct Forgetting {
    retention: Retention,
    aging: Aging,
    /// The newest revision that was too old at the last look.
    old: Revision,
    /// The compact revision, as far as this process knows.
    compact_revision: Revision,
    answers: AnswerBound,
}

/// When to compare the stored responses with their quota.
#[derive(Debug)]
struct AnswerBound {
    quota: AnswerQuota,
    /// The bytes that this process has stored since the last comparison.
    stored: u64,
    is_due: bool,
    dropped: Counter,
}

impl Forgetting {
    pub(super) fn new(
        retention: Retention,
        now: Timestamp,
        day_old: DayOld,
        quota: AnswerQuota,
        dropped: Counter,
    ) -> Forgetting {
        let (old, compact_revision) = (Revision::default(), Revision::default());
        let answers = AnswerBound { quota, stored: 0, is_due: true, dropped };
        Forgetting { retention, aging: Aging::new(retention, now, day_old), old, compact_revision, answers }
    }

    /// Notes that responses were stored.
    pub(super) fn stored(&mut self, answers: &[KeptAnswer]) {
        self.answers.stored += answers.iter().map(KeptAnswer::bytes).sum::<u64>();
        self.answers.is_due |= self.answers.stored > self.answers.quota.slack();
    }

    /// The present hour of the store's life.
    pub(super) fn hour(&self, now: Timestamp) -> u64 {
        self.aging.hour(now)
    }

    /// Counts the hours of the store, and drops the stored responses that are old.
    pub(super) fn grow_old(&mut self, journal: &mut dyn Journal, head: Revision, now: Timestamp) {
        let Some(old) = self.aging.look(journal, head, now) else { return };
        self.old = old.changes;
        // Other processes may have stored some.
        self.answers.is_due = true;
        if let Err(failure) = journal.forget_answers(old.answers, FORGOTTEN_AT_A_TIME) {
            debug!(error = failure.chain(), "cannot delete old stored responses");
        }
    }

    /// Drops some of the oldest stored responses that exceed their quota.
    pub(super) fn bound_answers(&mut self, journal: &mut dyn Journal) {
        let bound = &mut self.answers;
        if !std::mem::take(&mut bound.is_due) {
            return;
        }
        bound.stored = 0;
        match journal.bound_answers(bound.quota, FORGOTTEN_AT_A_TIME) {
            Ok(dropped) => {
                bound.dropped.inc_by(dropped as u64);
                bound.is_due = dropped > 0;
            }
            Err(failure) => debug!(error = failure.chain(), "cannot delete stored responses beyond the quota"),
        }
    }

    /// Compacts some changes that exceed the retention, if there are at least `least`.
    pub(super) fn compact(&mut self, journal: &mut dyn Journal, head: Revision, least: usize) {
        let target = self.retention.surplus(head).max(self.old);
        if target.0 >= self.compact_revision.0 + least as u64 {
            match journal.compact(target, FORGOTTEN_AT_A_TIME) {
                Ok(compact_revision) => self.compact_revision = compact_revision,
                Err(failure) => debug!(error = failure.chain(), "cannot compact the journal"),
            }
        }
    }
}
