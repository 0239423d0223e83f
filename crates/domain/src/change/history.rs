//! The past: changes that were made, and the state that they had led to.

use std::sync::Arc;

use jiff::Timestamp;

use super::event::ChangeKind;
use super::transition::Transition;
use crate::lease::{Lease, LeaseId};
use crate::plugin::UniqueId;
use crate::record::Record;
use crate::revision::Revision;
use crate::state::State;

/// Which changes to read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeRange {
    /// After this revision.
    pub after: Revision,
    /// Up to and with this revision.
    pub until: Option<Revision>,
    /// Of this subject: a plugin's unique_id, a category's name, or a lease's id.
    pub subject: Option<String>,
    /// Of plugins alone, or of categories alone.
    pub of_categories: Option<bool>,
    /// Of one of these kinds; of all when there are none.
    pub kinds: Vec<ChangeKind>,
    /// Made at or after this time.
    pub from: Option<Timestamp>,
    /// Made before this time.
    pub to: Option<Timestamp>,
    /// The newest first.
    pub descending: bool,
    /// At most so many.
    pub limit: usize,
}

/// Changes as they were read.
#[derive(Debug, Default)]
pub struct ChangePage {
    /// Every change after this revision is kept; of those before, only what stands.
    pub compact_revision: Revision,
    /// The changes.
    pub transitions: Vec<Arc<Transition>>,
    /// Whether these are all that there are in the range; there may be more when the limit was reached, or
    /// [`MAX_BYTES`].
    pub is_all: bool,
}

/// How many bytes of documents are read at a time, about: more changes than those follow in the next chapter.
pub const MAX_BYTES: usize = 16 << 20;

/// The plugins and leases that have changed since an earlier revision, as they stood then.
#[derive(Debug, Default)]
pub struct PriorState {
    /// As of [`ChangePage::compact_revision`].
    pub compact_revision: Revision,
    /// Each with what stood; `None` for one that was not there.
    pub plugins: Vec<(UniqueId, Option<Arc<Record>>)>,
    /// The same of leases.
    pub leases: Vec<(LeaseId, Option<Arc<Lease>>)>,
}

impl ChangeRange {
    /// Returns true if and only if `transition` is one of those.
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
    /// This state with its plugins and leases as they were at `revision`. The names of categories stay as they are.
    #[must_use]
    pub fn rewound(&self, revision: Revision, prior: PriorState) -> State {
        let mut state = self.clone();
        for (id, record) in prior.plugins {
            state.set_plugin(&id, record);
        }
        for (id, lease) in prior.leases {
            state.set_lease(&id, lease);
        }
        state.set_head(revision, self.at());
        state
    }
}
