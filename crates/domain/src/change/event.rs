//! One entry of the journal.

use std::sync::Arc;

use jiff::Timestamp;

use crate::cost::BudgetEvent;
use crate::lease::{LeaseAct, LeaseId};
use crate::plugin::{FreeJson, Name, Plugin, UniqueId};
use crate::record::observation::ObservationChange;
use crate::record::{FindingChange, Slot};
use crate::revision::Revision;
use crate::wire_names;

/// One change: the journal's entry, what watchers see, and what a replica replays.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its place in the history.
    pub revision: Revision,
    /// When it was decided, in whole microseconds; never earlier than the change before it.
    pub at: Timestamp,
    /// `X-Request-Id` of the request that asked for it.
    pub request_id: Option<Box<str>>,
    /// The name of the one who has asked for it; `None` when the registry has made it by itself, or before this was kept.
    pub principal: Option<Arc<str>>,
    /// What changed.
    pub event: Event,
}

/// What changed, with everything that is needed to do it again.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Event {
    /// The plugin stands as given. `config` is what becomes of its saved configuration.
    PluginPut { kind: ChangeKind, plugin: Arc<Plugin>, config: ConfigChange },
    /// The plugin is no more.
    PluginRemoved { id: UniqueId },
    /// The category has this display name, or none any more.
    CategoryNamed { name: Name, display_name: Option<Box<str>> },
    /// Something happened to the budget of this id, which is no plugin's: it has no underscore.
    Budget { id: Box<str>, event: BudgetEvent },
    /// Something happened to a lease.
    Lease { id: LeaseId, act: LeaseAct },
    /// Something was seen of what the plugin holds that had not been seen so before.
    ResourcesObserved { id: UniqueId, seen: Arc<[ObservationChange]> },
    /// These things are wrong with what the plugin holds.
    FindingsRaised { id: UniqueId, findings: Arc<[FindingChange]> },
    /// Nothing is wrong any more with these.
    FindingsCleared { id: UniqueId, slots: Arc<[Slot]> },
}

/// What a change does to a plugin's saved configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigChange {
    /// Nothing.
    Kept,
    /// This is the configuration from now on.
    Saved(FreeJson),
    /// There is none from now on.
    Deleted,
}

wire_names! {
    /// The kind of a change, as it is called in the journal and in events.
    ChangeKind {
        /// A plugin was not there and is now.
        PluginRegistered = "plugin.registered",
        /// A plugin's description, or more than one part of it, changed.
        PluginUpdated = "plugin.updated",
        /// Only its process ids changed.
        PidsChanged = "plugin.pids_changed",
        /// Only its container id changed.
        ContainerChanged = "plugin.container_changed",
        /// Only its remote resource changed, in more than the status.
        RemoteChanged = "remote_resource.changed",
        /// Only the status of its remote resource changed.
        RemoteStatusChanged = "remote_resource.status_changed",
        /// A configuration was saved.
        ConfigSaved = "config.saved",
        /// The configuration was deleted.
        ConfigDeleted = "config.deleted",
        /// A plugin was there and is no more.
        PluginRemoved = "plugin.removed",
        /// A category was given a display name, or lost it.
        CategoryNamed = "category.named",
        /// A budget was made, or its owner has changed it.
        BudgetSaved = "budget.saved",
        /// A budget is no more.
        BudgetRemoved = "budget.removed",
        /// A threshold of a budget was reached.
        BudgetThresholdReached = "budget.threshold_reached",
        /// An application process was given a lease.
        LeaseGranted = "lease.granted",
        /// A lease was not renewed in time.
        LeaseExpired = "lease.expired",
        /// A lease that was thought lost was renewed.
        LeaseRevived = "lease.revived",
        /// A lease was given back by its holder.
        LeaseReleased = "lease.released",
        /// A lease ended long ago, and no plugin names it.
        LeaseForgotten = "lease.forgotten",
        /// What a plugin holds was seen to be there, gone, or another.
        ResourceObserved = "resource.observed",
        /// Something was found to be wrong with what a plugin holds.
        FindingRaised = "finding.raised",
        /// What was found to be wrong is so no more.
        FindingCleared = "finding.cleared",
    }
}

impl Event {
    /// The kind.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Event::PluginPut { kind, .. } => *kind,
            Event::PluginRemoved { .. } => ChangeKind::PluginRemoved,
            Event::CategoryNamed { .. } => ChangeKind::CategoryNamed,
            Event::Budget { event, .. } => match event {
                BudgetEvent::Saved(_) => ChangeKind::BudgetSaved,
                BudgetEvent::Removed => ChangeKind::BudgetRemoved,
                BudgetEvent::Reached(_) => ChangeKind::BudgetThresholdReached,
            },
            Event::Lease { act, .. } => match act {
                LeaseAct::Granted(_) => ChangeKind::LeaseGranted,
                LeaseAct::Expired => ChangeKind::LeaseExpired,
                LeaseAct::Revived => ChangeKind::LeaseRevived,
                LeaseAct::Released => ChangeKind::LeaseReleased,
                LeaseAct::Compacted => ChangeKind::LeaseForgotten,
            },
            Event::ResourcesObserved { .. } => ChangeKind::ResourceObserved,
            Event::FindingsRaised { .. } => ChangeKind::FindingRaised,
            Event::FindingsCleared { .. } => ChangeKind::FindingCleared,
        }
    }

    /// The plugin's unique_id, the category's name, or the id of the budget or lease.
    pub fn subject(&self) -> String {
        match self {
            Event::PluginPut { plugin, .. } => plugin.unique_id().to_string(),
            Event::PluginRemoved { id }
            | Event::ResourcesObserved { id, .. }
            | Event::FindingsRaised { id, .. }
            | Event::FindingsCleared { id, .. } => id.to_string(),
            Event::CategoryNamed { name, .. } => name.to_string(),
            Event::Budget { id, .. } => id.to_string(),
            Event::Lease { id, .. } => id.to_string(),
        }
    }
}

impl ChangeKind {
    /// The kind of a change from `before` to `after`, told from what differs.
    pub fn between(before: Option<&Plugin>, after: &Plugin) -> ChangeKind {
        let Some(before) = before else {
            return ChangeKind::PluginRegistered;
        };
        let with = |change: &dyn Fn(&mut Plugin)| {
            let mut changed = before.clone();
            change(&mut changed);
            changed == *after
        };
        if with(&|plugin| plugin.spawned_pids = after.spawned_pids.clone()) {
            ChangeKind::PidsChanged
        } else if with(&|plugin| plugin.container_id.clone_from(&after.container_id)) {
            ChangeKind::ContainerChanged
        } else if with(&|plugin| plugin.remote_resource.clone_from(&after.remote_resource)) {
            match (&before.remote_resource, &after.remote_resource) {
                (Some(old), Some(new)) if differ_in_status_alone(old, new) => ChangeKind::RemoteStatusChanged,
                _ => ChangeKind::RemoteChanged,
            }
        } else {
            ChangeKind::PluginUpdated
        }
    }
}

fn differ_in_status_alone(old: &crate::plugin::RemoteResource, new: &crate::plugin::RemoteResource) -> bool {
    let mut old = old.clone();
    old.status.clone_from(&new.status);
    old == *new
}
