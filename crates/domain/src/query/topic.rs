//! Topics: kinds of changes that a watcher can subscribe to.

use std::collections::BTreeSet;

use crate::host;
use crate::plugin::{ExecutionMode, Name, Provider, UniqueId};
use crate::record::Record;

/// A kind of changes that a watcher can subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// All changes.
    Everything,
    /// Of one plugin.
    Plugin(UniqueId),
    /// Of plugins that hold a process, a container or a running remote resource.
    Active,
    /// Of plugins that a provider may be charging for.
    Billable,
    /// Of a category.
    Category(Name),
    /// Of plugins with this execution mode.
    Mode(ExecutionMode),
    /// Of plugins whose remote resource is from this provider.
    Provider(Provider),
    /// Of plugins on this host, or that left something behind there, in normal form: see [`Topic::host`].
    Host(Box<str>),
    /// Of plugins that name this lease.
    Lease(Box<str>),
    /// Of plugins with this label.
    Label(Box<str>, Box<str>),
}

impl Topic {
    /// Of plugins on the host of this name.
    pub fn host(name: &str) -> Topic {
        Topic::Host(host::normal(name).into())
    }

    /// The topics of a record.
    pub fn of(record: &Record) -> Vec<Topic> {
        let plugin = &record.plugin;
        let mut topics = vec![
            Topic::Plugin(record.unique_id.clone()),
            Topic::Category(plugin.category.clone()),
            Topic::Mode(plugin.execution_mode),
        ];
        topics.extend(plugin.has_active_resources().then_some(Topic::Active));
        topics.extend(record.is_billable().then_some(Topic::Billable));
        topics.extend(plugin.remote_resource.as_ref().map(|remote| Topic::Provider(remote.provider)));
        topics.extend(plugin.host.as_deref().map(Topic::host));
        let left_on: BTreeSet<_> = record.holdings.left().filter_map(|(slot, _)| slot.host.as_deref()).collect();
        topics.extend(left_on.into_iter().map(Topic::host));
        topics.extend(plugin.lease_id.as_deref().map(|lease| Topic::Lease(lease.into())));
        topics.extend(plugin.labels.iter().map(|(key, value)| Topic::Label(key.into(), value.into())));
        topics
    }
}
