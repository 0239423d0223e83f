//! What a change does: the state of its subject before and after.

use std::sync::Arc;

use crate::lease::Lease;
use crate::record::Record;

/// What stood before a change, and what stands after it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Step {
    /// Of a plugin: `None` where there was none, or is none any more.
    Plugin { before: Option<Arc<Record>>, after: Option<Arc<Record>> },
    /// Of a category: its display names, where it had or has one.
    Category { before: Option<Box<str>>, after: Option<Box<str>> },
    /// Of a budget: the change says it all.
    Budget,
    /// Of a lease: `None` where there was none, or is none any more.
    Lease { before: Option<Arc<Lease>>, after: Option<Arc<Lease>> },
}

impl Step {
    /// The records before and after, when the change is about a plugin.
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

    /// The lease after the change, or the one that is no more, when the change is about a lease.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        match self {
            Step::Lease { before, after } => after.as_ref().or(before.as_ref()),
            Step::Plugin { .. } | Step::Category { .. } | Step::Budget => None,
        }
    }
}
