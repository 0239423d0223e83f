//! A change together with its effect.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::cloud_event;
use super::event::{Change, Event};
use super::step::Step;
use crate::lease::Lease;
use crate::record::Record;
use crate::revision::StoreId;

/// A change and its effect. All readers share one copy.
#[derive(Debug)]
pub struct Transition {
    /// The change.
    pub change: Change,
    /// Its effect.
    pub step: Step,
    /// The event's JSON, serialised at the first request for it.
    json: OnceLock<Bytes>,
}

impl Transition {
    /// Pairs a change with its effect.
    pub fn new(change: Change, step: Step) -> Transition {
        Transition { change, step, json: OnceLock::new() }
    }

    /// The records before and after, if the change is about a plugin.
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

    /// The lease after the change, or the forgotten one, if the change is about a lease.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.step.lease()
    }

    /// The approximate memory of its documents and its event, in bytes.
    pub fn bytes(&self) -> usize {
        2 * self.records().map(|record| record.json.len()).sum::<usize>() + 512
    }

    /// Returns true if and only if the change is about a category.
    pub fn is_of_category(&self) -> bool {
        matches!(self.change.event, Event::CategoryNamed { .. })
    }

    /// Returns true if and only if the change removed a plugin.
    pub fn is_removal(&self) -> bool {
        matches!(self.change.event, Event::PluginRemoved { .. })
    }

    /// The event as JSON (CloudEvents 1.0); all receivers get the same bytes. `store` is the store of the change.
    pub fn json(&self, store: &StoreId) -> &Bytes {
        self.json.get_or_init(|| cloud_event::serialise(&self.change, &self.step, store))
    }
}
