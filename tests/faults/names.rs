//! The names of a directory, which obey the rule of the sectors (see `file_model.rs`): creating, removing and
//! renaming is certain only when the directory was synced, and until then a name may lead to whatever it led to
//! since.

use std::collections::{BTreeMap, BTreeSet};

use crate::file_model::Moment;
use crate::survival::Survival;

/// A file, by its place in [`crate::disk::Disk`].
pub(crate) type FileId = usize;

#[derive(Default)]
pub(crate) struct Names<'a> {
    names: BTreeMap<&'a str, Name>,
}

#[derive(Default)]
struct Name {
    current: Option<FileId>,
    durable: Option<FileId>,
    /// What else the name may lead to, oldest first.
    unsynced: Vec<Change>,
}

struct Change {
    begun: Moment,
    ended: Option<Moment>,
    leads_to: Option<FileId>,
}

impl<'a> Names<'a> {
    /// What `name` leads to while the power is on.
    pub(crate) fn file(&self, name: &str) -> Option<FileId> {
        self.names.get(name).and_then(|name| name.current)
    }

    /// All names that lead somewhere while the power is on.
    pub(crate) fn current(&self) -> impl Iterator<Item = (&'a str, FileId)> {
        self.names.iter().filter_map(|(name, model)| Some((*name, model.current?)))
    }

    /// All files to which some name may lead after a power loss now.
    pub(crate) fn possible(&self) -> BTreeSet<FileId> {
        let durable = self.names.values().filter_map(|name| name.durable);
        let unsynced = self.names.values().flat_map(|name| name.unsynced.iter().filter_map(|change| change.leads_to));
        durable.chain(unsynced).collect()
    }

    /// The changes that no sync has made durable.
    pub(crate) fn unsynced(&self) -> impl Iterator<Item = Moment> {
        self.names.values().flat_map(|name| name.unsynced.iter().map(|change| change.begun))
    }

    /// From now on `name` may lead to `leads_to`.
    pub(crate) fn change(&mut self, name: &'a str, begun: Moment, leads_to: Option<FileId>) {
        let name = self.names.entry(name).or_default();
        name.unsynced.push(Change { begun, ended: None, leads_to });
        name.current = leads_to;
    }

    /// The change of `name` that began at `begun`, if there was one, is done.
    pub(crate) fn ended(&mut self, name: &str, begun: Moment, ended: Moment) {
        let changes = self.names.get_mut(name).into_iter().flat_map(|name| &mut name.unsynced);
        changes.filter(|change| change.begun == begun).for_each(|change| change.ended = Some(ended));
    }

    /// The change of `name` that began at `begun`, if there was one, was refused.
    pub(crate) fn undo(&mut self, name: &str, begun: Moment) {
        if let Some(name) = self.names.get_mut(name) {
            name.unsynced.retain(|change| change.begun != begun);
            name.current = name.unsynced.last().map_or(name.durable, |change| change.leads_to);
        }
    }

    /// A sync of the directory returned that was called at `called`.
    pub(crate) fn synced(&mut self, called: Moment) {
        for name in self.names.values_mut() {
            let known = name.unsynced.iter().rposition(|change| change.ended.is_some_and(|ended| ended < called));
            if let Some(known) = known {
                name.durable = name.unsynced[known].leads_to;
                name.unsynced.drain(..=known);
            }
        }
    }

    /// The names that can be there after a power loss now.
    pub(crate) fn after_power_loss(&self, survival: &Survival) -> impl Iterator<Item = (&'a str, FileId)> {
        self.names.iter().filter_map(|(name, model)| {
            let change = model.unsynced.iter().rev().find(|change| survival.name_survives(change.begun));
            let file = change.map_or(model.durable, |change| change.leads_to);
            Some((*name, file?))
        })
    }
}
