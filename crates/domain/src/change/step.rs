//! The effect of a change: its subject before and after.

use std::sync::Arc;

use crate::lease::Lease;
use crate::record::Record;

/// The subject before and after a change.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Step {
    /// A plugin; `None` if it did not exist, or was removed.
    Plugin { before: Option<Arc<Record>>, after: Option<Arc<Record>> },
    /// A category's display names; `None` if it had or has none.
    Category { before: Option<Box<str>>, after: Option<Box<str>> },
    /// A budget: the change itself has the details.
    Budget,
    /// A lease; `None` if it did not exist, or was forgotten.
    Lease { before: Option<Arc<Lease>>, after: Option<Arc<Lease>> },
}

impl Step {
    /// The records before and after, if the change is about a plugin.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        let (before, after) = match self {
            Step::Plugin { before, after } => (before.as_ref(), after.as_ref()),
            Step::Category { .. } | Step::Lease { .. } | Step::Budget => (None, None),
        };
        before.into_iter().chain(after)
    }

    /// The record before the change.
    pub fn before(&self) -> Option<&Arc<Record>> {
        match self {
            Step::Plugin { before, .. } => before.as_ref(),
            Step::Category { .. } | Step::Lease { .. } | Step::Budget => None,
        }
    }

    /// The record after the change.
    pub fn after(&self) -> Option<&Arc<Record>> {
        match self {
            Step::Plugin { after, .. } => after.as_ref(),
            Step::Category { .. } | Step::Lease { .. } | Step::Budget => None,
        }
    }

    /// The lease after the change, or the forgotten one, if the change is about a lease.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        match self {
            Step::Lease { before, after } => after.as_ref().or(before.as_ref()),
            Step::Plugin { .. } | Step::Category { .. } | Step::Budget => None,
        }
    }
}
