//! A change with what it has changed: what stood before, and what stands after.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::change::{Change, Event};
use super::cloud_event;
use super::document::Record;
use super::lease::Lease;
use super::revision::StoreId;
use super::state::State;
use crate::telemetry::Trace;

/// A change that was made. It is shared by everybody who wants to know of it.
#[derive(Debug)]
pub struct Transition {
    /// The change.
    pub change: Change,
    /// What it has done.
    pub step: Step,
    /// The event's JSON, serialised when it is first asked for.
    json: OnceLock<Bytes>,
    /// The trace of the request that has led to it, in the process that has made it.
    trace: OnceLock<Trace>,
}

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

impl State {
    /// Makes changes, each of which must be the one that follows, and tells what they have done.
    pub fn advance(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Arc<Transition>> {
        let made = changes.into_iter().map(|change| {
            let step = self.apply(&change);
            Arc::new(Transition::new(change, step))
        });
        made.collect()
    }
}

impl Transition {
    /// A change, and what it has done.
    pub fn new(change: Change, step: Step) -> Transition {
        Transition { change, step, json: OnceLock::new(), trace: OnceLock::new() }
    }

    /// Says which trace the request belongs to that has led to it.
    pub(super) fn is_part_of(&self, trace: Trace) {
        // Who says so first has made it.
        drop(self.trace.set(trace));
    }

    /// The trace of the request that has led to it, if it has one, and this process has made the change.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.get()
    }

    /// The records before and after, when the change is about a plugin.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        let (before, after) = match &self.step {
            Step::Plugin { before, after } => (before.as_ref(), after.as_ref()),
            Step::Category { .. } | Step::Lease { .. } | Step::Budget => (None, None),
        };
        before.into_iter().chain(after)
    }

    /// The record before the change.
    pub fn before(&self) -> Option<&Arc<Record>> {
        match &self.step {
            Step::Plugin { before, .. } => before.as_ref(),
            Step::Category { .. } | Step::Lease { .. } | Step::Budget => None,
        }
    }

    /// The record after the change.
    pub fn after(&self) -> Option<&Arc<Record>> {
        match &self.step {
            Step::Plugin { after, .. } => after.as_ref(),
            Step::Category { .. } | Step::Lease { .. } | Step::Budget => None,
        }
    }

    /// The lease after the change, or the one that is no more, when the change is about a lease.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        match &self.step {
            Step::Lease { before, after } => after.as_ref().or(before.as_ref()),
            Step::Plugin { .. } | Step::Category { .. } | Step::Budget => None,
        }
    }

    /// About how much memory its documents take, those of the event included, in bytes.
    pub fn bytes(&self) -> usize {
        2 * self.records().map(|record| record.json.len()).sum::<usize>() + 512
    }

    /// Whether it is about a category, and not about a plugin.
    pub fn is_of_category(&self) -> bool {
        matches!(self.change.event, Event::CategoryNamed { .. })
    }

    /// Whether a plugin was there and is no more.
    pub fn is_removal(&self) -> bool {
        matches!(self.change.event, Event::PluginRemoved { .. })
    }

    /// The event as JSON (CloudEvents 1.0), as everybody is sent it. `store` is the one that it was made in.
    pub fn json(&self, store: &StoreId) -> &Bytes {
        self.json.get_or_init(|| cloud_event::serialise(self, store))
    }
}
