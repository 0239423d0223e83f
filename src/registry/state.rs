//! What the journal replays to. Pure: the same changes make the same state, whoever replays them.

use std::sync::Arc;

use jiff::Timestamp;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

use super::change::{Change, ConfigChange, Event};
use super::document::Record;
use super::index::{IndexKey, Indexes, Records};
use super::revision::Revision;
use crate::plugin::{Name, UniqueId};

/// The whole registry at one revision. Cloning it is cheap: its parts are shared.
#[derive(Debug, Clone)]
pub struct State {
    revision: Revision,
    at: Timestamp,
    plugins: Records,
    /// The same records: a plugin is found by three steps here, and by seventeen there.
    by_id: HashTrieMapSync<UniqueId, Arc<Record>>,
    indexes: Indexes,
    categories: RedBlackTreeMapSync<Name, Category>,
}

/// A category that was given a display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// What people call it.
    pub display_name: Box<str>,
    /// The newest change to it.
    pub revision: Revision,
}

impl Default for State {
    fn default() -> State {
        State {
            revision: Revision::default(),
            at: Timestamp::UNIX_EPOCH,
            plugins: Records::default(),
            by_id: HashTrieMapSync::default(),
            indexes: Indexes::default(),
            categories: RedBlackTreeMapSync::default(),
        }
    }
}

impl State {
    /// The state that a store has kept: its head, and what stood then.
    pub fn restore(
        revision: Revision,
        at: Timestamp,
        records: impl IntoIterator<Item = Record>,
        categories: impl IntoIterator<Item = (Name, Category)>,
    ) -> State {
        let mut state = State { revision, at, ..State::default() };
        for record in records {
            state.put(Arc::new(record));
        }
        for (name, category) in categories {
            state.categories.insert_mut(name, category);
        }
        state
    }

    /// Makes one change. It must be the one that follows: see [`Revision::next`].
    pub fn apply(&mut self, change: &Change) {
        debug_assert_eq!(change.revision, self.revision.next(), "changes are applied in order");
        self.revision = change.revision;
        self.at = change.at;
        match &change.event {
            Event::PluginPut { plugin, config, .. } => {
                let before = self.by_id.get(plugin.unique_id().as_str());
                let config = match config {
                    ConfigChange::Kept => before.and_then(|record| record.config.clone()),
                    ConfigChange::Saved(config) => Some(config.clone()),
                    ConfigChange::Deleted => None,
                };
                let created_at = before.map_or(change.at, |record| record.created_at);
                let plugin = Arc::clone(plugin);
                self.put(Arc::new(Record::new(plugin, config, change.revision, created_at, change.at)));
            }
            Event::PluginRemoved { id } => {
                if let Some(before) = self.by_id.get(id).cloned() {
                    self.plugins.remove_mut(id);
                    self.by_id.remove_mut(id);
                    self.indexes.replace(Some(&before), None);
                }
            }
            Event::CategoryNamed { name, display_name: Some(display_name) } => {
                let category = Category { display_name: display_name.clone(), revision: change.revision };
                self.categories.insert_mut(name.clone(), category);
            }
            Event::CategoryNamed { name, display_name: None } => drop(self.categories.remove_mut(name)),
        }
    }

    fn put(&mut self, record: Arc<Record>) {
        let before = self.by_id.get(&record.unique_id).cloned();
        self.indexes.replace(before.as_deref(), Some(&record));
        self.by_id.insert_mut(record.unique_id.clone(), Arc::clone(&record));
        self.plugins.insert_mut(record.unique_id.clone(), record);
    }

    /// The newest change in it.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// When the newest change was made.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The plugin of an id.
    pub fn plugin(&self, id: &str) -> Option<&Arc<Record>> {
        self.by_id.get(id)
    }

    /// Every plugin, in the order of the ids.
    pub fn plugins(&self) -> &Records {
        &self.plugins
    }

    /// The plugins that have a property, if any has.
    pub fn having(&self, key: &IndexKey) -> Option<&Records> {
        self.indexes.get(key)
    }

    /// The indexes.
    pub fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    /// The categories that were given a display name.
    pub fn named_categories(&self) -> &RedBlackTreeMapSync<Name, Category> {
        &self.categories
    }

    /// The newest change to the plugin of an id.
    pub fn revision_of(&self, id: &UniqueId) -> Option<Revision> {
        self.by_id.get(id).map(|record| record.revision)
    }
}

/// Two states are equal if and only if every reply made of them is.
impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        self.revision == other.revision
            && self.at == other.at
            && self.plugins == other.plugins
            && self.categories == other.categories
    }
}
