//! What readers get of the history beside whole changes: what plugins held, and numbers.

use std::collections::BTreeMap;

use domain::Revision;
use domain::change::ChangeKind;
use domain::plugin::UniqueId;
use domain::query::spans::{HeldChange, HeldState};
use domain::steps::Steps;

/// What plugins hold; `None` for one that does not exist.
pub type Held = BTreeMap<UniqueId, Option<HeldState>>;

/// What plugins hold after each change of a page.
#[derive(Debug, Default)]
pub struct HeldPage {
    /// The changes of plugins.
    pub changes: Vec<HeldChange>,
    /// The newest revision of the page, also of a change that is not of a plugin; `None` for an empty page.
    pub last: Option<Revision>,
    /// The number of changes in the page, also of those that are not of plugins.
    pub read: usize,
    /// As of [`domain::change::history::ChangePage::is_all`].
    pub is_all: bool,
}

/// The number of changes by step and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// As of [`domain::change::history::ChangePage::compact_revision`].
    pub compact_revision: Revision,
    /// The numbers, by the index of the step and by kind; only those that are not 0.
    pub counts: BTreeMap<(usize, ChangeKind), u64>,
}

impl ChangeCounts {
    /// Adds changes of a kind in a step. The store's number of a step may lie outside of the steps, or its kind may be of
    /// a newer version.
    pub(crate) fn add(&mut self, steps: Steps, index: i64, kind: &str, count: i64) {
        let index = usize::try_from(index).ok().filter(|index| *index < steps.count());
        if let (Some(index), Some(kind), Ok(count)) = (index, ChangeKind::from_name(kind), u64::try_from(count)) {
            *self.counts.entry((index, kind)).or_default() += count;
        }
    }
}
