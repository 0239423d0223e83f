//! History: past changes, and the state before them.

use std::sync::Arc;

use jiff::Timestamp;

use super::event::ChangeKind;
use super::transition::Transition;
use crate::lease::{Lease, LeaseId};
use crate::plugin::UniqueId;
use crate::query::pace::Pace;
use crate::record::Record;
use crate::revision::Revision;
use crate::state::State;

/// A selection of changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeRange {
    /// After this revision.
    pub after: Revision,
    /// Up to and including this revision.
    pub until: Option<Revision>,
    /// Of this subject: a plugin's unique_id, a category's name, or a lease's id.
    pub subject: Option<String>,
    /// `true` for categories only, `false` for plugins only.
    pub of_categories: Option<bool>,
    /// Of one of these kinds; empty for all.
    pub kinds: Vec<ChangeKind>,
    /// Made at or after this time.
    pub from: Option<Timestamp>,
    /// Made before this time.
    pub to: Option<Timestamp>,
    /// Newest first.
    pub descending: bool,
    /// At most this many.
    pub limit: usize,
}

/// A page of changes.
#[derive(Debug, Default)]
pub struct ChangePage {
    /// The journal has every change after this revision. Of earlier changes it has only those that still define the
    /// state.
    pub compact_revision: Revision,
    /// The changes.
    pub transitions: Vec<Arc<Transition>>,
    /// Whether the page holds the rest of the range. The reader stops early at the limit or at [`MAX_BYTES`].
    pub is_all: bool,
}

/// The approximate size of a page, in bytes of documents. Further changes follow in the next page.
pub const MAX_BYTES: usize = 16 << 20;

/// What it costs to replace one plugin in a state with all its indexes, in the unit of [`Pace::step`].
const REPLACED: usize = 8 << 10;

/// The plugins and leases that changed since an earlier revision, as they were at that revision.
#[derive(Debug, Default)]
pub struct PriorState {
    /// As of [`ChangePage::compact_revision`].
    pub compact_revision: Revision,
    /// Each plugin with its record; `None` if it did not exist.
    pub plugins: Vec<(UniqueId, Option<Arc<Record>>)>,
    /// The same for leases.
    pub leases: Vec<(LeaseId, Option<Arc<Lease>>)>,
}

impl ChangeRange {
    /// Returns true if and only if the range contains `transition`.
    pub fn contains(&self, transition: &Transition) -> bool {
        let change = &transition.change;
        change.revision > self.after
            && self.until.is_none_or(|until| change.revision <= until)
            && self.of_categories.is_none_or(|wanted| wanted == transition.is_of_category())
            && (self.kinds.is_empty() || self.kinds.contains(&change.event.kind()))
            && self.from.is_none_or(|from| change.at >= from)
            && self.to.is_none_or(|to| change.at < to)
            && self.subject.as_ref().is_none_or(|subject| *subject == change.event.subject())
    }
}

impl State {
    /// This state with its plugins and leases as they were at `revision`. The names of categories stay as they are now.
    ///
    /// # Errors
    ///
    /// If the pace stops the work.
    pub fn rewound<P: Pace>(&self, revision: Revision, prior: PriorState, pace: &P) -> Result<State, P::Stop> {
        let mut state = self.clone();
        for (id, record) in prior.plugins {
            pace.step(REPLACED)?;
            state.set_plugin(&id, record);
        }
        for (id, lease) in prior.leases {
            pace.step(REPLACED)?;
            state.set_lease(&id, lease);
        }
        state.set_head(revision, self.at());
        Ok(state)
    }
}
