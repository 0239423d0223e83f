//! Reading the journal.
//!
//! Webhooks and live streams read on blocking threads, a few at a time. Long reads of clients take turns with all other
//! long work: see [`super::fair_pool`].

use std::sync::Arc;

use jiff::Timestamp;

use super::counting::{self, STRETCH};
use super::fair_pool::{Stopped, Turn, WorkCaller};
use super::handle::Registry;
use super::journal_cache::JournalChunk;
use super::journal_error::JournalReadError;
use crate::registry::journal_error::require_kept;
use crate::store::{ChangeCounts, History, ReadToEnd, StoreError};
use domain::change::history::{ChangePage, ChangeRange};
use domain::steps::Steps;
use domain::{Revision, Snapshot};

impl Registry {
    /// The published changes of a range.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn changes(&self, range: ChangeRange) -> Result<ChangePage, JournalReadError> {
        let range = self.published(range);
        self.reading(move |history| history.read(&range, &ReadToEnd)).await
    }

    /// As [`Registry::changes`], at the caller's turn. `make` builds the response from the changes there.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or too much work waits.
    pub async fn changes_for<T: Send + 'static>(
        &self,
        caller: WorkCaller,
        range: ChangeRange,
        make: impl FnOnce(ChangePage, &Turn<'_>) -> Result<T, Stopped> + Send + 'static,
    ) -> Result<T, JournalReadError> {
        let range = self.published(range);
        self.scan_journal(caller, move |history, turn| {
            let page = history.read(&range, &turn.of_store())?;
            Ok(make(page, turn)?)
        })
        .await
    }

    /// How many changes of a range each step of time has, by kind; counted at the caller's turn. Beside it, whether the
    /// journal still has all changes since the first step.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or too much work waits.
    pub async fn counts(
        &self,
        caller: WorkCaller,
        range: ChangeRange,
        steps: Steps,
    ) -> Result<(ChangeCounts, bool), JournalReadError> {
        let range = self.published(range);
        self.scan_journal(caller, move |history, turn| {
            let counts: Result<_, ScanEnd> = counting::count(history, turn, &range, steps, STRETCH);
            let counts = counts?;
            let is_whole = counts.compact_revision.0 == 0 || history.revision_at(steps.from)?.is_some();
            Ok((counts, is_whole))
        })
        .await
    }

    /// The part of a range that is published. Readers must not see changes that are committed but not yet published.
    fn published(&self, range: ChangeRange) -> ChangeRange {
        let head = self.snapshot().state.revision();
        ChangeRange { until: Some(range.until.map_or(head, |until| until.min(head))), ..range }
    }

    /// The newest revision at or before a time, found at the caller's turn; 0 if there is none.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or too much work waits.
    pub async fn revision_at(&self, caller: WorkCaller, time: Timestamp) -> Result<Revision, JournalReadError> {
        let found = self.scan_journal(caller, move |history, _| Ok(history.revision_at(time)?)).await?;
        Ok(found.unwrap_or_default())
    }

    /// The snapshot at a revision before that of `now`, made at the caller's turn.
    ///
    /// # Errors
    ///
    /// If that revision was compacted, the store cannot be read, or too much work waits.
    pub async fn as_of(
        &self,
        caller: WorkCaller,
        now: Arc<Snapshot>,
        revision: Revision,
    ) -> Result<Arc<Snapshot>, JournalReadError> {
        self.scan_journal(caller, move |history, turn| {
            let prior = history.rewind(revision, &turn.of_store())?;
            require_kept(revision, prior.compact_revision)?;
            let state = now.state.rewound(revision, prior, turn)?;
            Ok(Arc::new(Snapshot { store: now.store.clone(), state }))
        })
        .await
    }

    /// Does work that reads the journal, at the caller's turn.
    pub(super) async fn scan_journal<T: Send + 'static>(
        &self,
        caller: WorkCaller,
        work: impl FnOnce(&dyn History, &Turn<'_>) -> Result<T, ScanEnd> + Send + 'static,
    ) -> Result<T, JournalReadError> {
        let history = Arc::clone(self.scanned_history());
        let scanned = self.scans().run(caller, move |turn| match work(&*history, turn) {
            Ok(found) => Ok(Ok(found)),
            Err(ScanEnd::Failed(error)) => Ok(Err(error)),
            Err(ScanEnd::Stopped) => Err(Stopped),
        });
        scanned.await?
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, JournalReadError> {
        let place = Arc::clone(self.readers()).acquire_owned().await.map_err(|_| JournalReadError::Unreadable)?;
        let history = Arc::clone(self.history());
        let reading = tokio::task::spawn_blocking(move || {
            // The permit is returned when the reading ends, also if the caller has gone.
            let _place = place;
            read(&*history)
        });
        let read = reading.await;
        read.map_err(|_| JournalReadError::Unreadable)?.map_err(|error| unreadable(&error))
    }
}

/// Why work on the journal ended without a result.
#[derive(Debug)]
pub(super) enum ScanEnd {
    /// Its caller has gone.
    Stopped,
    /// The journal does not have the answer, or cannot be read.
    Failed(JournalReadError),
}

impl From<Stopped> for ScanEnd {
    fn from(_: Stopped) -> ScanEnd {
        ScanEnd::Stopped
    }
}

impl From<JournalReadError> for ScanEnd {
    fn from(error: JournalReadError) -> ScanEnd {
        ScanEnd::Failed(error)
    }
}

impl From<StoreError> for ScanEnd {
    fn from(error: StoreError) -> ScanEnd {
        match error {
            StoreError::Stopped => ScanEnd::Stopped,
            error => ScanEnd::Failed(unreadable(&error)),
        }
    }
}

/// Logs why the journal cannot be read.
fn unreadable(error: &StoreError) -> JournalReadError {
    tracing::warn!(error = error.chain(), "the journal cannot be read");
    JournalReadError::Unreadable
}

/// The number of revisions in a chunk.
const LENGTH: u64 = 64;

impl Registry {
    /// Some of the changes after a revision, up to `until` at most.
    ///
    /// # Errors
    ///
    /// If they were compacted, or the store cannot be read.
    pub async fn chunk(&self, after: Revision, until: Revision) -> Result<JournalChunk, JournalReadError> {
        let number = after.0 / LENGTH;
        let whole = Revision(number * LENGTH)..Revision((number + 1) * LENGTH);
        if whole.end <= until.min(self.snapshot().state.revision()) {
            let read = self.read_chunk(whole.start, whole.end);
            if let Ok(chunk) = self.journal_cache().0.try_get_with(number, read).await
                && chunk.reached == whole.end
            {
                return Ok(chunk);
            }
            // The chunk was partly compacted, or is too long to read at once. The requested part may still be readable.
        }
        self.read_chunk(after, until).await
    }

    async fn read_chunk(&self, after: Revision, until: Revision) -> Result<JournalChunk, JournalReadError> {
        let limit = usize::try_from(LENGTH).unwrap_or(usize::MAX).saturating_add(1);
        let page = self.changes(ChangeRange { after, until: Some(until), limit, ..ChangeRange::default() }).await?;
        require_kept(after, page.compact_revision)?;
        let last = page.transitions.last().map(|last| last.change.revision);
        let reached = last.filter(|_| !page.is_all).unwrap_or(until);
        Ok(JournalChunk { transitions: page.transitions.into(), reached })
    }
}
