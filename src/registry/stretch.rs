//! Stretches of the journal, read once for all who come back at the same time.
//!
//! After a restart, everybody who watches comes back, and none of them finds what it has missed in
//! memory. What each needs is the same: so the journal is read in stretches of a fixed length, and a
//! stretch that was read is kept for a while, with its events as they were serialised.

use std::sync::Arc;

use moka::future::Cache;

use super::handle::Registry;
use super::past::{PastError, require_kept};
use domain::Revision;
use domain::change::Transition;
use domain::change::history::ChangeRange;

/// How many revisions a stretch has.
const LENGTH: u64 = 64;

/// How much of the stretches is kept, in bytes of documents.
const KEPT_BYTES: u64 = 32 << 20;

/// Changes that follow each other without a gap.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The changes, oldest first; also some from before what was asked for.
    pub transitions: Arc<[Arc<Transition>]>,
    /// How far they reach: there is no other change up to here.
    pub reached: Revision,
}

/// The stretches that were read last, by their number.
#[derive(Debug)]
pub(super) struct Stretches(Cache<u64, Stretch>);

impl Stretches {
    pub(super) fn new() -> Stretches {
        let bytes = |_: &u64, stretch: &Stretch| {
            let bytes = stretch.transitions.iter().map(|transition| transition.bytes()).sum::<usize>();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Stretches(Cache::builder().weigher(bytes).max_capacity(KEPT_BYTES).build())
    }
}

impl Registry {
    /// Some of the changes after a revision, up to `until` at the most.
    ///
    /// # Errors
    ///
    /// When they are no longer kept, or the store cannot be read.
    pub async fn stretch(&self, after: Revision, until: Revision) -> Result<Stretch, PastError> {
        let number = after.0 / LENGTH;
        let whole = Revision(number * LENGTH)..Revision((number + 1) * LENGTH);
        if whole.end <= until.min(self.snapshot().state.revision()) {
            let read = self.read_stretch(whole.start, whole.end);
            if let Ok(stretch) = self.stretches().0.try_get_with(number, read).await
                && stretch.reached == whole.end
            {
                return Ok(stretch);
            }
            // Not all of it is kept, or it is too long to be read at once: what was asked for may yet be.
        }
        self.read_stretch(after, until).await
    }

    async fn read_stretch(&self, after: Revision, until: Revision) -> Result<Stretch, PastError> {
        let limit = usize::try_from(LENGTH).unwrap_or(usize::MAX).saturating_add(1);
        let chapter = self.changes(ChangeRange { after, until: Some(until), limit, ..ChangeRange::default() }).await?;
        require_kept(after, chapter.horizon)?;
        let last = chapter.transitions.last().map(|last| last.change.revision);
        let reached = last.filter(|_| !chapter.is_all).unwrap_or(until);
        Ok(Stretch { transitions: chapter.transitions.into(), reached })
    }
}
