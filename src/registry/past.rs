//! Reading the journal: away from the threads that serve, and by a few at a time.

use std::sync::Arc;

use jiff::Timestamp;

use super::handle::Registry;
use crate::store::{History, StoreError};
use domain::change::history::{ChangeRange, Chapter};
use domain::{Revision, Snapshot};

/// How many may read the journal at a time.
pub(super) const READERS: usize = 4;

/// Why the past cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// It is no longer kept.
    #[error("what happened after revision {revision} is no longer kept as a whole, only what happened after {horizon}")]
    Forgotten {
        /// The revision that was asked for.
        revision: Revision,
        /// The oldest that can be asked for.
        horizon: Revision,
    },
    /// The store cannot be read at the moment.
    #[error("the journal cannot be read at the moment")]
    Unreadable,
}

impl Registry {
    /// The changes of a range, of those that are published.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn changes(&self, mut range: ChangeRange) -> Result<Chapter, PastError> {
        // What is committed and not yet published is nobody's business.
        let head = self.snapshot().state.revision();
        range.until = Some(range.until.map_or(head, |until| until.min(head)));
        self.reading(move |history| history.read(&range)).await
    }

    /// The newest revision that was made at or before a time; 0 when there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn revision_at(&self, time: Timestamp) -> Result<Revision, PastError> {
        Ok(self.reading(move |history| history.revision_at(time)).await?.unwrap_or_default())
    }

    /// The snapshot at a revision before that of `now`.
    ///
    /// # Errors
    ///
    /// When that revision is no longer kept, or the store cannot be read.
    pub async fn as_of(&self, now: Arc<Snapshot>, revision: Revision) -> Result<Arc<Snapshot>, PastError> {
        let store = now.store.clone();
        let (horizon, state) = self
            .reading(move |history| {
                let earlier = history.rewind(revision)?;
                Ok((earlier.horizon, now.state.rewound(revision, earlier)))
            })
            .await?;
        require_kept(revision, horizon)?;
        Ok(Arc::new(Snapshot { store, state }))
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PastError> {
        let place = Arc::clone(self.readers()).acquire_owned().await.map_err(|_| PastError::Unreadable)?;
        let history = Arc::clone(self.history());
        let reading = tokio::task::spawn_blocking(move || {
            // Given back when the reading ends, also when nobody waits for it any more.
            let _place = place;
            read(&*history)
        });
        let read = reading.await;
        read.map_err(|_| PastError::Unreadable)?.map_err(|error| {
            tracing::warn!(error = error.chain(), "the journal cannot be read");
            PastError::Unreadable
        })
    }
}

/// Refuses a revision after which not every change is kept.
///
/// # Errors
///
/// [`PastError::Forgotten`].
pub fn require_kept(revision: Revision, horizon: Revision) -> Result<(), PastError> {
    if revision >= horizon { Ok(()) } else { Err(PastError::Forgotten { revision, horizon }) }
}
