//! The age of what is kept, in hours through which the registry has run.
//!
//! A wall clock that was wrong for a moment must not make anything old. So the store counts hours, and notes the head
//! after each: what has this revision or an earlier one is at least that old.

use domain::Revision;

/// How many hours of the registry's life a day has.
pub const DAY: u64 = 24;

/// Hours that have passed since the newest one in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedHours {
    /// The newest hour in the store, as far as this process knows. If another process has written a newer one, the hours
    /// are not counted twice.
    pub known: u64,
    /// The number of hours; at least one.
    pub passed: u64,
    /// The head within the first of them.
    pub earlier: Revision,
}

impl PassedHours {
    /// The newest hour.
    pub fn newest(&self) -> u64 {
        self.known.saturating_add(self.passed)
    }

    /// The rows for the store, whose head is now `head`.
    pub fn rows(&self, head: Revision) -> impl Iterator<Item = (u64, Revision)> {
        let first = (self.passed > 1).then(|| (self.known.saturating_add(1), self.earlier.min(head)));
        first.into_iter().chain([(self.newest(), head)])
    }
}
