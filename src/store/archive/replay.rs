//! Replays the changes of a journal, and compares the result with the stored documents.

use std::sync::Arc;

use jiff::Timestamp;

use crate::store::StoreError;
use crate::store::row::{ChangeRow, holdings_of, revision_from_sql, time_from_sql};
use domain::change::{Change, ChangeKind, Event, Step};
use domain::plugin::Name;
use domain::record::{Naming, Record};
use domain::{Category, Lease, Revision, State};

/// Replays changes, oldest first, and compares the result.
pub struct Replay {
    /// The expected result.
    wanted: State,
    compact_revision: Revision,
    /// The plugins at the compact revision, as far as they were read.
    plugins: Vec<Record>,
    categories: Vec<(Name, Category)>,
    leases: Vec<Lease>,
    /// The state after the replayed changes, which start from the compact revision.
    replayed: Option<State>,
    newest: Revision,
    at: Timestamp,
    /// Whether a replayed change is older than claims.
    has_legacy: bool,
}

impl Replay {
    /// Starts a replay of changes that must lead to `wanted`.
    pub fn new(wanted: State, compact_revision: Revision) -> Replay {
        Replay {
            wanted,
            compact_revision,
            plugins: Vec::new(),
            categories: Vec::new(),
            leases: Vec::new(),
            replayed: None,
            newest: Revision(0),
            at: Timestamp::MIN,
            has_legacy: false,
        }
    }

    /// Replays the next change.
    ///
    /// # Errors
    ///
    /// If it is damaged, or cannot be the next.
    pub fn take(&mut self, row: &ChangeRow) -> Result<(), StoreError> {
        let (revision, at) = (revision_from_sql(row.revision)?, time_from_sql(row.at)?);
        if revision <= self.newest {
            return Err(StoreError::refused(format!("change {revision} comes after change {}", self.newest)));
        }
        // Its time may be before that of the change before it, because a clock was corrected.
        if revision <= self.compact_revision {
            self.take_standing(row)?;
        } else {
            self.make(row)?;
        }
        (self.newest, self.at) = (revision, at);
        Ok(())
    }

    /// Adds a change that defines the state at the compact revision.
    fn take_standing(&mut self, row: &ChangeRow) -> Result<(), StoreError> {
        let revision = revision_from_sql(row.revision)?;
        if row.kind == ChangeKind::CategoryNamed.as_str() {
            let damaged =
                |wrong| StoreError::refused(format!("change {revision} names a category, whose name {wrong}"));
            if let Some(display_name) = row.detail.as_deref() {
                let category = Category { display_name: display_name.into(), revision };
                self.categories.push((Name::new(&row.subject).map_err(damaged)?, category));
            }
        } else if row.is_of_lease() {
            self.leases.extend(row.lease()?);
        } else if let Some(stood) = row.record()? {
            // The journal does not have the configuration at that revision. A later change will replace it here too;
            // without one, the current configuration is the right one.
            let config = self.wanted.plugin(stood.unique_id.as_str()).and_then(|record| record.config.clone());
            let plugin = Arc::clone(&stood.plugin);
            let (times, observed) = ((stood.created_at, stood.updated_at), stood.holdings.clone());
            self.plugins.push(Record::holding(plugin, config, stood.revision, times, observed));
        }
        Ok(())
    }

    /// Applies a change after the compact revision.
    fn make(&mut self, row: &ChangeRow) -> Result<(), StoreError> {
        let state = self.replayed.take();
        let mut state = state.unwrap_or_else(|| self.begun());
        let change = Change::try_from(row.clone())?;
        if change.revision != state.revision().next() {
            return Err(StoreError::refused(format!("change {} is missing", state.revision().next())));
        }
        self.has_legacy |= matches!(&change.event, Event::PluginPut { naming, .. } if *naming == Naming::legacy());
        let step = state.apply(&change);
        if let Some(what) = contradiction(row, &step)? {
            return Err(StoreError::refused(format!("change {} is wrong about {what}", change.revision)));
        }
        self.replayed = Some(state);
        Ok(())
    }

    /// The state at the compact revision.
    fn begun(&mut self) -> State {
        let (plugins, categories) = (std::mem::take(&mut self.plugins), std::mem::take(&mut self.categories));
        State::restore(self.compact_revision, self.at.max(Timestamp::UNIX_EPOCH), plugins, categories)
            .with_leases(std::mem::take(&mut self.leases))
    }

    /// Compares the result with the stored state.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let replayed = self.replayed.take();
        let replayed = replayed.unwrap_or_else(|| self.begun());
        match difference(&replayed, &self.wanted, self.newest) {
            Some(difference) => Err(StoreError::refused(difference)),
            // Only the ledger has the spending before the compact revision.
            // Versions before claims counted costs by other rules.
            None if self.compact_revision == Revision(0) && !self.has_legacy && replayed != self.wanted => {
                Err(StoreError::refused("the costs of plugins differ from the replayed changes"))
            }
            None => Ok(()),
        }
    }
}

/// A field of a change that contradicts its effect.
fn contradiction(row: &ChangeRow, step: &Step) -> Result<Option<&'static str>, StoreError> {
    match step {
        Step::Plugin { after: Some(after), .. } => {
            if row.created_at.is_some_and(|created_at| created_at != after.created_at.as_microsecond()) {
                return Ok(Some("the registration time of its plugin"));
            }
            let is_seen = holdings_of(row.observed.as_deref())? == after.holdings;
            Ok((!is_seen).then_some("the holdings of its plugin"))
        }
        Step::Lease { after, .. } => {
            let is_so = row.lease()?.as_ref() == after.as_deref();
            Ok((!is_so).then_some("its lease"))
        }
        Step::Plugin { after: None, .. } | Step::Category { .. } | Step::Budget => Ok(None),
    }
}

/// The first difference between the replayed state, whose newest change is `newest`, and the stored state.
fn difference(replayed: &State, kept: &State, newest: Revision) -> Option<String> {
    if newest != kept.revision() {
        return Some(format!("the head is revision {}, but the newest change is {newest}", kept.revision()));
    }
    if replayed.at() != kept.at() {
        return Some(format!("the head was made at {}, but its change at {}", kept.at(), replayed.at()));
    }
    plugin_difference(replayed, kept)
        .or_else(|| category_difference(replayed, kept))
        .or_else(|| lease_difference(replayed, kept))
}

fn plugin_difference(replayed: &State, kept: &State) -> Option<String> {
    for record in kept.plugins().values() {
        let id = &record.unique_id;
        let Some(made) = replayed.plugin(id.as_str()) else {
            return Some(format!("the plugin {id} is stored, but no change leads to it"));
        };
        if made.revision != record.revision {
            let (kept, made) = (record.revision, made.revision);
            return Some(format!("the plugin {id} is stored as of revision {kept}, but its newest change is {made}"));
        }
        if made.config != record.config {
            return Some(format!("the configuration of the plugin {id} differs from its changes"));
        }
        if made.holdings != record.holdings {
            return Some(format!("the holdings of the plugin {id} differ from its changes"));
        }
        if made.json != record.json {
            return Some(format!("the plugin {id} differs from its change {}", record.revision));
        }
    }
    let lost = replayed.plugins().keys().find(|id| kept.plugin(id.as_str()).is_none())?;
    Some(format!("the plugin {lost} is not stored, but the changes lead to it"))
}

fn category_difference(replayed: &State, kept: &State) -> Option<String> {
    let (made, kept) = (replayed.named_categories(), kept.named_categories());
    let of_either = kept.keys().chain(made.keys());
    let name = of_either.into_iter().find(|name| made.get(*name) != kept.get(*name))?;
    Some(format!("the name of the category {} differs from its changes", name.as_str()))
}

fn lease_difference(replayed: &State, kept: &State) -> Option<String> {
    let of_either = kept.leases().keys().chain(replayed.leases().keys());
    let id = of_either.into_iter().find(|id| replayed.lease(id.as_str()) != kept.lease(id.as_str()))?;
    Some(format!("the lease {id} differs from its changes"))
}
