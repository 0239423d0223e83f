//! A history that only some threads read at a time, so that long reads of clients take a known number of the store's
//! connections.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use jiff::Timestamp;

use crate::store::archive::Part;
use crate::store::{ChangeCounts, Held, HeldPage, History, ReadPace, StoreError};
use domain::Revision;
use domain::change::history::{ChangePage, ChangeRange, PriorState};
use domain::plugin::UniqueId;
use domain::steps::Steps;

/// The history, and how many may still read it. Others block their thread.
pub(super) struct BoundedHistory {
    history: Arc<dyn History>,
    free: Mutex<usize>,
    returned: Condvar,
}

impl BoundedHistory {
    /// A history that at most `readers` threads read at a time.
    pub fn new(history: Arc<dyn History>, readers: usize) -> BoundedHistory {
        BoundedHistory { history, free: Mutex::new(readers), returned: Condvar::new() }
    }

    fn reading<T>(&self, read: impl FnOnce(&dyn History) -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *self.returned.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
        // Returned also if the read panics.
        let _place = ReadPlace(self);
        read(&*self.history)
    }
}

struct ReadPlace<'a>(&'a BoundedHistory);

impl Drop for ReadPlace<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}

impl History for BoundedHistory {
    fn read(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<ChangePage, StoreError> {
        self.reading(|history| history.read(range, pace))
    }

    fn rewind(&self, revision: Revision, pace: &ReadPace<'_>) -> Result<PriorState, StoreError> {
        self.reading(|history| history.rewind(revision, pace))
    }

    fn revision_at(&self, time: Timestamp) -> Result<Option<Revision>, StoreError> {
        self.reading(|history| history.revision_at(time))
    }

    fn held(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<HeldPage, StoreError> {
        self.reading(|history| history.held(range, pace))
    }

    fn held_at(&self, revision: Revision, plugin: Option<&UniqueId>, pace: &ReadPace<'_>) -> Result<Held, StoreError> {
        self.reading(|history| history.held_at(revision, plugin, pace))
    }

    fn count(&self, range: &ChangeRange, steps: Steps) -> Result<ChangeCounts, StoreError> {
        self.reading(|history| history.count(range, steps))
    }

    fn dump(&self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.reading(|history| history.dump(visit))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::store::{Journal as _, ReadToEnd, memory::MemoryJournal};

    /// A history that counts its readers.
    struct Counting {
        readers: AtomicUsize,
        most: AtomicUsize,
        inner: Arc<dyn History>,
    }

    impl History for Counting {
        fn read(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<ChangePage, StoreError> {
            let readers = self.readers.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(readers, Ordering::SeqCst);
            std::thread::yield_now();
            self.readers.fetch_sub(1, Ordering::SeqCst);
            self.inner.read(range, pace)
        }

        fn rewind(&self, revision: Revision, pace: &ReadPace<'_>) -> Result<PriorState, StoreError> {
            self.inner.rewind(revision, pace)
        }

        fn revision_at(&self, time: Timestamp) -> Result<Option<Revision>, StoreError> {
            self.inner.revision_at(time)
        }

        fn held(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<HeldPage, StoreError> {
            self.inner.held(range, pace)
        }

        fn held_at(
            &self,
            revision: Revision,
            plugin: Option<&UniqueId>,
            pace: &ReadPace<'_>,
        ) -> Result<Held, StoreError> {
            self.inner.held_at(revision, plugin, pace)
        }

        fn count(&self, range: &ChangeRange, steps: Steps) -> Result<ChangeCounts, StoreError> {
            self.inner.count(range, steps)
        }

        fn dump(&self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
            self.inner.dump(visit)
        }
    }

    #[test]
    fn no_more_than_some_threads_read_at_a_time() {
        let inner = MemoryJournal::new().history();
        let counting = Arc::new(Counting { readers: 0.into(), most: 0.into(), inner });
        let bounded = BoundedHistory::new(Arc::clone(&counting) as _, 2);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        bounded.read(&ChangeRange::default(), &ReadToEnd).unwrap();
                    }
                });
            }
        });
        assert!((1..=2).contains(&counting.most.load(Ordering::SeqCst)));
    }
}
