//! One entry of the journal.

use std::sync::Arc;

use jiff::Timestamp;

use super::holding_act::HoldingAct;
use crate::cost::{BudgetEvent, Notice};
use crate::lease::{LeaseAct, LeaseId};
use crate::plugin::{FreeJson, Name, Plugin, UniqueId};
use crate::record::observation::ObservationChange;
use crate::record::{FindingChange, Naming, Origin, Slot};
use crate::revision::Revision;
use crate::wire_names;

/// One change: an entry of the journal, sent to watchers and replayed by replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its position in the history.
    pub revision: Revision,
    /// When the writer decided it, in whole microseconds; never earlier than the change before it.
    pub at: Timestamp,
    /// `X-Request-Id` of the request that made the change.
    pub request_id: Option<Box<str>>,
    /// The name of the principal; `None` if the registry made the change, or if the change is older than this field.
    pub principal: Option<Arc<str>>,
    /// Why the client made the change, in its words.
    pub reason: Option<Box<str>>,
    /// What changed.
    pub event: Event,
}

impl Change {
    /// The caller that made the change, and its request.
    pub fn origin(&self) -> Origin {
        Origin { principal: self.principal.clone(), request_id: self.request_id.clone() }
    }
}

/// The content of a change: everything that a replay needs.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Event {
    /// The plugin has this document from now on. `config` is the effect on its saved configuration, `naming` what the
    /// request says about its holdings.
    PluginPut { kind: ChangeKind, plugin: Arc<Plugin>, config: ConfigChange, naming: Naming },
    /// The plugin was removed.
    PluginRemoved { id: UniqueId },
    /// The category has this display name from now on; `None` for no name.
    CategoryNamed { name: Name, display_name: Option<Box<str>> },
    /// A change to the budget of this id. Ids of budgets have no underscore, so a plugin cannot have the same id.
    Budget { id: Box<str>, event: BudgetEvent },
    /// A change to a lease.
    Lease { id: LeaseId, act: LeaseAct },
    /// A change of holdings of the plugin.
    Holdings { id: UniqueId, act: HoldingAct },
    /// Observations that differ from the last ones.
    ResourcesObserved { id: UniqueId, seen: Arc<[ObservationChange]> },
    /// New findings about resources of the plugin.
    FindingsRaised { id: UniqueId, findings: Arc<[FindingChange]> },
    /// Findings that are no longer true.
    FindingsCleared { id: UniqueId, slots: Arc<[Slot]> },
}

/// The effect of a change on a plugin's saved configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigChange {
    /// Unchanged.
    Kept,
    /// Replaced by this one.
    Saved(FreeJson),
    /// Deleted.
    Deleted,
}

wire_names! {
    /// The kind of a change, as named in the journal and in events.
    ChangeKind {
        /// A plugin was registered.
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
        /// An application wrote a line into the history of its plugin.
        PluginNoted = "plugin.noted",
        /// A client asked to stop a plugin.
        StopRequested = "plugin.stop_requested",
        /// What runs a plugin answered the request to stop it.
        StopAnswered = "plugin.stop_answered",
        /// A plugin was removed.
        PluginRemoved = "plugin.removed",
        /// An admin set or removed a category's display name.
        CategoryNamed = "category.named",
        /// An admin created or changed a budget.
        BudgetSaved = "budget.saved",
        /// A budget was removed.
        BudgetRemoved = "budget.removed",
        /// A budget reached a threshold.
        BudgetThresholdReached = "budget.threshold_reached",
        /// The costs of a budget's period will reach the limit if an hour goes on to cost this much: once a period.
        BudgetBreachProjected = "budget.breach_projected",
        /// The cost of an hour of a budget's plugins is above `limit_usd_per_hour`.
        BudgetBurnExceeded = "budget.burn_exceeded",
        /// The cost of an hour of a budget's plugins is at or below `limit_usd_per_hour` again.
        BudgetBurnRecovered = "budget.burn_recovered",
        /// The registry granted a lease to an application process.
        LeaseGranted = "lease.granted",
        /// The holder did not renew a lease in time.
        LeaseExpired = "lease.expired",
        /// The holder renewed a lost lease.
        LeaseRevived = "lease.revived",
        /// The holder released a lease.
        LeaseReleased = "lease.released",
        /// The registry forgot a lease that ended long ago and that no plugin names.
        LeaseForgotten = "lease.forgotten",
        /// An agent observed that a held resource is alive, gone, or another one.
        ResourceObserved = "resource.observed",
        /// A request no longer names a resource that may still run or bill.
        ResourceLeftBehind = "resource.left_behind",
        /// A resource was seen gone, and its plugin no longer holds it.
        ResourceEnded = "resource.ended",
        /// A client released a resource by name.
        ResourceReleased = "resource.released",
        /// The time until which a resource is meant to be held is near.
        ResourceExpiresSoon = "resource.expires_soon",
        /// A client set or removed the time until which a resource is meant to be held.
        ResourceExpirySet = "resource.expiry_set",
        /// The registry found something wrong with a held resource.
        FindingRaised = "finding.raised",
        /// A finding is no longer true.
        FindingCleared = "finding.cleared",
        /// A client acknowledged a finding.
        FindingAcknowledged = "finding.acknowledged",
        /// The acknowledgement of a finding ended.
        FindingUnacknowledged = "finding.unacknowledged",
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
                BudgetEvent::Told(notice) => match &**notice {
                    Notice::Reached(_) => ChangeKind::BudgetThresholdReached,
                    Notice::Projected(_) => ChangeKind::BudgetBreachProjected,
                    Notice::Burn(crossed) if crossed.is_over() => ChangeKind::BudgetBurnExceeded,
                    Notice::Burn(_) => ChangeKind::BudgetBurnRecovered,
                },
            },
            Event::Lease { act, .. } => match act {
                LeaseAct::Granted(..) => ChangeKind::LeaseGranted,
                LeaseAct::Expired => ChangeKind::LeaseExpired,
                LeaseAct::Revived => ChangeKind::LeaseRevived,
                LeaseAct::Released => ChangeKind::LeaseReleased,
                LeaseAct::Compacted => ChangeKind::LeaseForgotten,
            },
            Event::Holdings { act, .. } => match act {
                HoldingAct::LeftBehind { .. } => ChangeKind::ResourceLeftBehind,
                HoldingAct::Ended { .. } => ChangeKind::ResourceEnded,
                HoldingAct::Released { .. } => ChangeKind::ResourceReleased,
                HoldingAct::ExpiresSoon { .. } => ChangeKind::ResourceExpiresSoon,
                HoldingAct::ExpirySet { .. } => ChangeKind::ResourceExpirySet,
                HoldingAct::Acknowledged { .. } => ChangeKind::FindingAcknowledged,
                HoldingAct::Unacknowledged { .. } => ChangeKind::FindingUnacknowledged,
                HoldingAct::Noted { .. } => ChangeKind::PluginNoted,
                HoldingAct::StopRequested { .. } => ChangeKind::StopRequested,
                HoldingAct::StopAnswered { .. } => ChangeKind::StopAnswered,
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
            | Event::Holdings { id, .. }
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
    /// The kind of a change from `before` to `after`, derived from the difference.
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
