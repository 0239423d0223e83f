//! How old what the store keeps is, by the hours through which the registry has run: see [`crate::store::hours`].
//!
//! The writer counts an hour when the steady clock has counted one since the last. Retention, stored responses and ended
//! leases age by these hours, so that a wall clock that is wrong makes nothing old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tracing::debug;

use crate::store::{Journal, PassedHours, StoreError};
use domain::Revision;
use domain::change::retention::Retention;
use domain::command::idempotency::KEPT;

/// An hour, in seconds.
const HOUR: i64 = 3_600;

/// How often the writer counts hours.
const LOOK: SignedDuration = SignedDuration::from_mins(1);

/// The head of a day ago, shared by the writer and those that drop old things from the state.
#[derive(Debug, Clone, Default)]
pub(super) struct DayOld(Arc<AtomicU64>);

impl DayOld {
    /// The head as of at least a day ago; 0 if the registry has not run for a day.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.0.load(Ordering::Acquire))
    }
}

/// The hours, as the writer counts them.
#[derive(Debug)]
pub(super) struct Aging {
    retention: Retention,
    /// The newest hour in the store; `None` before it was read.
    known: Option<u64>,
    /// When it was noted, by the steady clock.
    since: Timestamp,
    /// The head at the last look, and when that was.
    head: Revision,
    looked: Option<Timestamp>,
    day_old: DayOld,
}

/// What has become old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Old {
    /// Changes up to this revision exceed the age of the retention.
    pub changes: Revision,
    /// Responses stored before this hour are not needed.
    pub answers: u64,
}

impl Aging {
    pub(super) fn new(retention: Retention, now: Timestamp, day_old: DayOld) -> Aging {
        Aging { retention, known: None, since: now, head: Revision::default(), looked: None, day_old }
    }

    /// The present hour.
    pub(super) fn hour(&self, now: Timestamp) -> u64 {
        self.known.unwrap_or_default().saturating_add(self.passed(now))
    }

    /// The whole hours since the newest one in the store.
    fn passed(&self, now: Timestamp) -> u64 {
        u64::try_from(now.duration_since(self.since).as_secs() / HOUR).unwrap_or_default()
    }

    /// Once a minute: counts hours, and returns what has become old.
    pub(super) fn look(&mut self, journal: &mut dyn Journal, head: Revision, now: Timestamp) -> Option<Old> {
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK) {
            return None;
        }
        self.looked = Some(now);
        match self.count(journal, now) {
            Ok(old) => {
                self.head = head;
                Some(old)
            }
            Err(failure) => {
                debug!(error = failure.chain(), "cannot count the hours of the store");
                None
            }
        }
    }

    fn count(&mut self, journal: &mut dyn Journal, now: Timestamp) -> Result<Old, StoreError> {
        let passed = self.passed(now);
        let newest = match self.known {
            Some(known) if passed > 0 => journal.pass_hours(&PassedHours { known, passed, earlier: self.head })?,
            _ => journal.hour()?,
        };
        if let Some(known) = self.known.filter(|known| *known != newest) {
            // The remainder counts too, unless another process counted the hour.
            let counted = if newest == known + passed { passed } else { 0 };
            let whole = SignedDuration::from_secs(HOUR.saturating_mul(i64::try_from(counted).unwrap_or_default()));
            self.since = if counted > 0 { self.since.saturating_add(whole).unwrap_or(now) } else { now };
        }
        self.known = Some(newest);
        let mut before = |hours: u64| match newest.checked_sub(hours) {
            Some(hour) => journal.revision_at_hour(hour),
            None => Ok(Revision::default()),
        };
        self.day_old.0.store(before(KEPT)?.0, Ordering::Release);
        let changes = before(u64::from(self.retention.days) * KEPT)?;
        Ok(Old { changes, answers: newest.saturating_sub(KEPT) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryJournal;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn hours_are_counted_once_by_two_processes_on_one_store() {
        let mut journal = MemoryJournal::new();
        let (start, retention) = (at(0), Retention { changes: 10, days: 1 });
        let mut aging = [(); 2].map(|()| Aging::new(retention, start, DayOld::default()));
        for minute in 0..=600 {
            for one in &mut aging {
                one.look(&mut journal, Revision(0), at(minute * 60));
            }
        }
        assert_eq!(journal.hour().unwrap(), 10);
        assert_eq!(aging[0].hour(at(600 * 60 + 3_599)), 10);
        assert_eq!(aging[0].hour(at(600 * 60 + 3_600)), 11);
    }
}
