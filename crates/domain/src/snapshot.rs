//! One consistent view of the registry.

use crate::revision::{EntityTag, Revision, StoreId};
use crate::state::State;

/// One consistent view of the registry. It never changes; newer ones are published beside it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whose history this is a moment of.
    pub store: StoreId,
    /// The registry at that moment.
    pub state: State,
}

impl Snapshot {
    /// What is shown before the store has been read.
    pub fn unloaded() -> Snapshot {
        Snapshot { store: StoreId::unknown(), state: State::default() }
    }

    /// Whether the store has been read. Before that, nothing can be said of any plugin.
    pub fn is_loaded(&self) -> bool {
        !self.store.as_str().is_empty()
    }

    /// The entity tag of what was last changed at `revision`.
    pub fn tag(&self, revision: Revision) -> EntityTag {
        EntityTag { store: self.store.clone(), revision }
    }
}
