//! One consistent view of the registry.

use crate::revision::{EntityTag, Revision, StoreId};
use crate::state::State;

/// One consistent view of the registry. It never changes; the writer publishes newer snapshots beside it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The identity of the history.
    pub store: StoreId,
    /// The state at that moment.
    pub state: State,
}

impl Snapshot {
    /// The snapshot before the store has been loaded.
    pub fn unloaded() -> Snapshot {
        Snapshot { store: StoreId::unknown(), state: State::default() }
    }

    /// Whether the store has been loaded. Before that, the registry cannot answer any query.
    pub fn is_loaded(&self) -> bool {
        !self.store.as_str().is_empty()
    }

    /// The entity tag of a thing that last changed at `revision`.
    pub fn tag(&self, revision: Revision) -> EntityTag {
        EntityTag { store: self.store.clone(), revision }
    }
}
