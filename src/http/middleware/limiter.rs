//! A limit on requests, watchers or bytes that are in use at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A capacity, and how much of the capacity is in use. Clones share both.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<LimiterCounts>);

#[derive(Debug)]
struct LimiterCounts {
    most: usize,
    taken: AtomicUsize,
}

impl Limiter {
    /// A limiter with the capacity `most`.
    pub fn of(most: usize) -> Limiter {
        Limiter(Arc::new(LimiterCounts { most, taken: AtomicUsize::new(0) }))
    }

    /// Takes an amount of the capacity, if so much is free.
    pub fn take(&self, amount: usize) -> Option<Permit> {
        let mut place = self.nothing();
        place.grow(amount).then_some(place)
    }

    /// A permit for an amount of zero, which can grow.
    pub fn nothing(&self) -> Permit {
        Permit { room: self.clone(), amount: 0 }
    }

    /// How much of the capacity is in use.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// The capacity.
    pub fn most(&self) -> usize {
        self.0.most
    }
}

/// An amount of the capacity; dropping the permit returns the amount.
#[derive(Debug)]
pub struct Permit {
    room: Limiter,
    amount: usize,
}

impl Permit {
    /// Takes a further amount. Returns false and takes nothing if the capacity does not suffice.
    pub fn grow(&mut self, more: usize) -> bool {
        let counts = &self.room.0;
        // Relaxed: no other memory depends on the counter.
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
