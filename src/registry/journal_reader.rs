//! Reading the journal: on blocking threads, and by a few readers at a time.

use std::sync::Arc;

use jiff::Timestamp;

use super::handle::Registry;
use super::journal_cache::JournalChunk;
use super::journal_error::JournalReadError;
use crate::registry::journal_error::require_kept;
use crate::store::{History, StoreError};
use domain::change::history::{ChangePage, ChangeRange};
use domain::{Revision, Snapshot};

impl Registry {
    /// The published changes of a range.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn changes(&self, mut range: ChangeRange) -> Result<ChangePage, JournalReadError> {
        // Readers must not see changes that are committed but not yet published.
        let head = self.snapshot().state.revision();
        range.until = Some(range.until.map_or(head, |until| until.min(head)));
        self.reading(move |history| history.read(&range)).await
    }

    /// The newest revision at or before a time; 0 if there is none.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn revision_at(&self, time: Timestamp) -> Result<Revision, JournalReadError> {
        Ok(self.reading(move |history| history.revision_at(time)).await?.unwrap_or_default())
    }

    /// The snapshot at a revision before that of `now`.
    ///
    /// # Errors
    ///
    /// If that revision was compacted, or the store cannot be read.
    pub async fn as_of(&self, now: Arc<Snapshot>, revision: Revision) -> Result<Arc<Snapshot>, JournalReadError> {
        let store = now.store.clone();
        let (compact_revision, state) = self
            .reading(move |history| {
                let prior = history.rewind(revision)?;
                Ok((prior.compact_revision, now.state.rewound(revision, prior)))
            })
            .await?;
        require_kept(revision, compact_revision)?;
        Ok(Arc::new(Snapshot { store, state }))
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
        read.map_err(|_| JournalReadError::Unreadable)?.map_err(|error| {
            tracing::warn!(error = error.chain(), "the journal cannot be read");
            JournalReadError::Unreadable
        })
    }
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
