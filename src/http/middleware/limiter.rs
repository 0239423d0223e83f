//! Room for a number of things at a time: requests, watchers, bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much room there is, and how much of it is taken. Clones share it.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<LimiterCounts>);

#[derive(Debug)]
struct LimiterCounts {
    most: usize,
    taken: AtomicUsize,
}

impl Limiter {
    /// Room for `most`.
    pub fn of(most: usize) -> Limiter {
        Limiter(Arc::new(LimiterCounts { most, taken: AtomicUsize::new(0) }))
    }

    /// Takes so much of it, if it is there.
    pub fn take(&self, amount: usize) -> Option<Permit> {
        let mut place = self.nothing();
        place.grow(amount).then_some(place)
    }

    /// A place that takes nothing as yet.
    pub fn nothing(&self) -> Permit {
        Permit { room: self.clone(), amount: 0 }
    }

    /// How much is taken.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// How much there is.
    pub fn most(&self) -> usize {
        self.0.most
    }
}

/// A part of the room, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    room: Limiter,
    amount: usize,
}

impl Permit {
    /// Takes so much more. Returns false, and takes nothing, when there is not so much.
    pub fn grow(&mut self, more: usize) -> bool {
        let counts = &self.room.0;
        // Nothing else is read or written on the ground of this number, so that no order is needed.
        let before = counts.taken.fetch_add(more, Ordering::Relaxed);
        if before.checked_add(more).is_none_or(|taken| taken > counts.most) {
            counts.taken.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.amount += more;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.room.0.taken.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_is_given_back() {
        let room = Limiter::of(10);
        let mut place = room.take(4).unwrap();
        let other = room.take(6).unwrap();
        assert!(room.take(1).is_none() && !place.grow(1));
        drop(other);
        assert!(place.grow(6) && !place.grow(1));
        assert_eq!(room.taken(), 10);
        drop(place);
        assert_eq!(room.taken(), 0);
        assert!(room.take(usize::MAX).is_none());
        assert_eq!(room.taken(), 0);
    }
}
