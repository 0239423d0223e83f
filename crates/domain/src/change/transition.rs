//! A change with what it has changed: what stood before, and what stands after.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::cloud_event;
use super::event::{Change, Event};
use super::step::Step;
use crate::lease::Lease;
use crate::record::Record;
use crate::revision::StoreId;

/// A change that was made. It is shared by everybody who wants to know of it.
#[derive(Debug)]
pub struct Transition {
    /// The change.
    pub change: Change,
    /// What it has done.
    pub step: Step,
    /// The event's JSON, serialised when it is first asked for.
    json: OnceLock<Bytes>,
}

impl Transition {
    /// A change, and what it has done.
    pub fn new(change: Change, step: Step) -> Transition {
        Transition { change, step, json: OnceLock::new() }
    }

    /// The records before and after, when the change is about a plugin.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.step.records()
    }

    /// The record before the change.
    pub fn before(&self) -> Option<&Arc<Record>> {
        self.step.before()
    }

    /// The record after the change.
    pub fn after(&self) -> Option<&Arc<Record>> {
        self.step.after()
    }

    /// The lease after the change, or the one that is no more, when the change is about a lease.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.step.lease()
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
        self.json.get_or_init(|| cloud_event::serialise(&self.change, &self.step, store))
    }
}
