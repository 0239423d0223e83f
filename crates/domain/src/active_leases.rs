//! How many leases are active, in all and by principal. Part of the state, derived from its leases.

use std::sync::Arc;

use rpds::HashTrieMapSync;

use crate::access::principal::ANONYMOUS;
use crate::lease::{Lease, LeaseState};

/// The numbers of active leases. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ActiveLeases {
    all: usize,
    by_principal: HashTrieMapSync<Arc<str>, usize>,
}

impl ActiveLeases {
    /// All active leases.
    pub fn all(&self) -> usize {
        self.all
    }

    /// The active leases of a principal; none for callers without a token, who cannot be told apart.
    pub fn of(&self, principal: &str) -> usize {
        self.by_principal.get(principal).copied().unwrap_or_default()
    }

    /// Replaces `before` with `after`.
    pub(crate) fn replace(&mut self, before: Option<&Lease>, after: Option<&Lease>) {
        let is_active = |lease: &&Lease| lease.state == LeaseState::Active;
        if let Some(before) = before.filter(is_active) {
            self.all -= 1;
            self.count(before, |count| count - 1);
        }
        if let Some(after) = after.filter(is_active) {
            self.all += 1;
            self.count(after, |count| count + 1);
        }
    }

    fn count(&mut self, lease: &Lease, change: impl FnOnce(usize) -> usize) {
        let Some(principal) = lease.principal.as_ref().filter(|name| &***name != ANONYMOUS) else { return };
        match change(self.of(principal)) {
            0 => drop(self.by_principal.remove_mut(principal)),
            count => self.by_principal.insert_mut(Arc::clone(principal), count),
        }
    }
}
