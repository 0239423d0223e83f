//! Counting changes in steps of time, in stretches of the journal: no read lasts long, and others have turns in between.

use jiff::{SignedDuration, Timestamp};

use crate::store::{ChangeCounts, History, StoreError};
use domain::Revision;
use domain::change::history::ChangeRange;
use domain::query::Pace;
use domain::steps::Steps;

/// The most revisions that one read of the store counts.
pub(super) const STRETCH: u64 = 5_000;

/// What it costs to count a change, in the unit of [`Pace::step`].
const COUNTED: usize = 128;

/// How many changes of a range each step has, counted `stretch` revisions at a time.
pub(super) fn count<P: Pace, E: From<StoreError> + From<P::Stop>>(
    history: &dyn History,
    pace: &P,
    range: &ChangeRange,
    steps: Steps,
    stretch: u64,
) -> Result<ChangeCounts, E> {
    let mut counts = ChangeCounts::default();
    let until = range.until.unwrap_or_default();
    let mut after = range.after.max(history.revision_at(just_before(steps.from))?.unwrap_or_default());
    while after < until {
        let end = Revision(after.0.saturating_add(stretch)).min(until);
        let part = history.count(&ChangeRange { after, until: Some(end), ..range.clone() }, steps)?;
        counts.compact_revision = counts.compact_revision.max(part.compact_revision);
        for (place, count) in part.counts {
            *counts.counts.entry(place).or_default() += count;
        }
        pace.step(usize::try_from(end.0 - after.0).unwrap_or(usize::MAX).saturating_mul(COUNTED))?;
        // What was compacted has no changes to count.
        after = end.max(part.compact_revision);
    }
    Ok(counts)
}

fn just_before(time: Timestamp) -> Timestamp {
    time.saturating_sub(SignedDuration::from_micros(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::store::memory::MemoryJournal;
    use crate::store::{Batch, Journal as _, ReadToEnd};
    use domain::State;
    use domain::change::{Change, ChangeKind, Event};
    use domain::plugin::Name;

    /// Counts the steps, and how much each one reports.
    struct Steady(Cell<(usize, usize)>);

    impl Pace for Steady {
        type Stop = StoreError;

        fn step(&self, bytes: usize) -> Result<(), StoreError> {
            let (steps, most) = self.0.get();
            self.0.set((steps + 1, most.max(bytes)));
            Ok(())
        }
    }

    /// A journal with one change a minute.
    fn journal(changes: u64) -> MemoryJournal {
        let mut journal = MemoryJournal::new();
        let mut state = State::default();
        let name = |number: u64| format!("n{number}");
        let made = (1..=changes).map(|number| Change {
            revision: Revision(number),
            at: Timestamp::from_second(i64::try_from(number).unwrap() * 60).unwrap(),
            request_id: None,
            principal: None,
            reason: None,
            event: Event::CategoryNamed { name: Name::new("c").unwrap(), display_name: Some(name(number).into()) },
        });
        journal.begin(&state).unwrap();
        let transitions = state.advance(made);
        journal.commit(&Batch::new(&transitions, &state)).unwrap();
        journal
    }

    #[test]
    fn a_long_history_is_counted_in_stretches_with_the_same_sum() {
        let history = journal(1_000).history();
        let (from, to) = (Timestamp::from_second(60 * 101).unwrap(), Timestamp::from_second(60 * 901).unwrap());
        let steps = Steps { from, to, length: SignedDuration::from_mins(60) };
        let range =
            ChangeRange { until: Some(Revision(1_000)), from: Some(from), to: Some(to), ..ChangeRange::default() };
        let whole: Result<_, StoreError> = count(&*history, &ReadToEnd, &range, steps, u64::MAX);
        let whole = whole.unwrap();
        let pace = Steady(Cell::new((0, 0)));
        let parts: Result<_, StoreError> = count(&*history, &pace, &range, steps, 100);
        assert_eq!(parts.unwrap(), whole);
        assert_eq!(whole.counts.values().sum::<u64>(), 800);
        assert_eq!(whole.counts.get(&(0, ChangeKind::CategoryNamed)), Some(&60));
        let (stretches, most) = pace.0.get();
        assert_eq!(most, 100 * COUNTED, "no stretch is longer");
        assert_eq!(stretches, 9, "what is before the first step is not counted");
    }
}
