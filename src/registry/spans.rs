//! What was held when: the state at the beginning, and the changes since then.

use std::sync::Arc;

use super::fair_pool::WorkCaller;
use super::journal_error::JournalReadError;
use crate::registry::handle::Registry;
use domain::change::history::ChangeRange;
use domain::query::Pace as _;
use domain::query::spans::{LaneBuilder, Lanes, SpanQuery};
use domain::{Revision, Snapshot};

/// The number of changes to read at a time.
const AT_A_TIME: usize = 1_000;

/// What it costs to add a change to the lanes, in the unit of [`Pace::step`](domain::query::Pace::step).
const LOOK: usize = 256;

/// The most changes that one question reads.
const MOST_CHANGES: usize = 100_000;

/// What was held when.
#[derive(Debug)]
pub struct HeldSpans {
    /// The lanes.
    pub lanes: Lanes,
    /// Whether lanes are left out because there are too many.
    pub is_cut: bool,
    /// Whether the journal still has all changes since the beginning.
    pub is_whole: bool,
    /// Whether there were more changes than one question reads. The lanes end there.
    pub is_short: bool,
}

impl Registry {
    /// What was held in a time, found at the caller's turn.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or too much work waits.
    pub async fn held_spans(
        &self,
        caller: WorkCaller,
        snapshot: Arc<Snapshot>,
        query: SpanQuery,
    ) -> Result<HeldSpans, JournalReadError> {
        self.scan_journal(caller, move |history, turn| {
            let pace = turn.of_store();
            let head = snapshot.state.revision();
            let known = history.revision_at(query.from)?;
            let compact = history.read(&ChangeRange { limit: 1, ..ChangeRange::default() }, &pace)?.compact_revision;
            let begin = known.unwrap_or(compact).min(head);
            let (to, plugin) = (query.to, query.plugin.clone());
            let prior = history.held_at(begin, plugin.as_ref(), &pace)?;
            let mut lanes = LaneBuilder::begin(query, &snapshot.state, &prior, turn)?;
            let (mut after, mut read, mut is_short) = (begin, 0, false);
            loop {
                let subject = plugin.as_ref().map(|plugin| plugin.as_str().to_owned());
                let of_categories = subject.as_ref().map(|_| false);
                let (until, to) = (Some(head), Some(to));
                let range = ChangeRange {
                    after,
                    until,
                    to,
                    subject,
                    of_categories,
                    limit: AT_A_TIME,
                    ..ChangeRange::default()
                };
                let page = history.held(&range, &pace)?;
                for change in &page.changes {
                    turn.step(LOOK)?;
                    lanes.add(change);
                }
                read += page.read;
                match page.last {
                    Some(_) if read >= MOST_CHANGES && !page.is_all => {
                        is_short = true;
                        break;
                    }
                    Some(last) if !page.is_all => after = last,
                    _ => break,
                }
            }
            let (lanes, is_cut) = lanes.end();
            Ok(HeldSpans { lanes, is_cut, is_whole: known.is_some() || compact == Revision::default(), is_short })
        })
        .await
    }
}
