//! One filter of a list of plugins.

use jiff::Timestamp;

use crate::host::{self, HostNames};
use crate::plugin::{ExecutionMode, Name, Pid, Plugin, Provider, StatusClass, UniqueId, container_id};
use crate::record::{FindingKind, Record, finding_rules};

/// One filter. If it has several values, one match is enough.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// `has_active_resources`
    Active(bool),
    /// `billable`
    Billable(bool),
    /// `is_configured`
    Configured(bool),
    /// `is_local_execution`
    Local(bool),
    /// The category.
    Category(Vec<Name>),
    /// The name within the category.
    Name(Vec<String>),
    /// The execution mode.
    ExecutionMode(Vec<ExecutionMode>),
    /// The provider of its remote resource.
    Provider(Vec<Provider>),
    /// The status of its remote resource.
    Status(Vec<String>),
    /// With one of these classes of the remote resource's status.
    StatusClass(Vec<StatusClass>),
    /// The GPU type of its remote resource.
    GpuType(Vec<String>),
    /// The host.
    Host(Vec<String>),
    /// The lease.
    Lease(Vec<String>),
    /// The value of a label.
    Label {
        /// Which label.
        key: String,
        /// Its values.
        values: Vec<String>,
    },
    /// One of its process ids.
    Pid(Vec<Pid>),
    /// The container.
    Container(Vec<String>),
    /// A substring of its id, title or description, in lower case.
    Text(Vec<String>),
    /// Changed at or after this time.
    UpdatedSince(Timestamp),
    /// Holds a resource with one of these findings, which no client has acknowledged.
    Finding(Vec<FindingKind>),
    /// Holds a resource that was seen alive.
    Verified(bool),
}

impl Filter {
    /// This filter; a filter by host then takes all names of the host `own` for one of them.
    #[must_use]
    pub fn with_names_of(self, own: &HostNames) -> Filter {
        match self {
            Filter::Host(hosts) => {
                let names = HostNames::of(hosts.iter().map(String::as_str)).with_names_of(own);
                Filter::Host(names.iter().map(str::to_owned).collect())
            }
            other => other,
        }
    }

    /// Returns true if and only if the filter accepts `record`.
    pub fn accepts(&self, record: &Record) -> bool {
        let plugin: &Plugin = &record.plugin;
        let remote = plugin.remote_resource.as_ref();
        let among =
            |values: &[String], value: Option<&str>| value.is_some_and(|value| values.iter().any(|v| v == value));
        match self {
            Filter::Active(wanted) => plugin.has_active_resources() == *wanted,
            Filter::Billable(wanted) => record.is_billable() == *wanted,
            Filter::Configured(wanted) => plugin.is_configured == *wanted,
            Filter::Local(wanted) => plugin.execution_mode.is_local() == *wanted,
            Filter::Category(names) => names.contains(&plugin.category),
            Filter::Name(names) => among(names, Some(plugin.name.as_str())),
            Filter::ExecutionMode(modes) => modes.contains(&plugin.execution_mode),
            Filter::Provider(providers) => remote.is_some_and(|remote| providers.contains(&remote.provider)),
            Filter::StatusClass(classes) => remote.is_some_and(|remote| classes.contains(&remote.status_class())),
            Filter::Status(statuses) => among(statuses, remote.map(|remote| remote.status.as_str())),
            Filter::GpuType(types) => among(types, remote.and_then(|remote| remote.gpu_type.as_deref())),
            Filter::Host(hosts) => {
                plugin.host.as_deref().is_some_and(|host| hosts.iter().any(|wanted| host::is_same(wanted, host)))
            }
            Filter::Lease(leases) => among(leases, plugin.lease_id.as_deref()),
            Filter::Label { key, values } => among(values, plugin.labels.get(key)),
            Filter::Pid(pids) => pids.iter().any(|pid| plugin.spawned_pids.contains(*pid)),
            Filter::Container(ids) => plugin
                .container()
                .map(container_id::normal)
                .is_some_and(|container| ids.iter().any(|wanted| container_id::normal(wanted) == container)),
            Filter::Text(parts) => mentions(plugin, &record.unique_id, parts),
            Filter::UpdatedSince(time) => record.updated_at >= *time,
            Filter::Finding(kinds) => finding_rules::open_of(record).any(|kind| kinds.contains(&kind)),
            Filter::Verified(wanted) => record.holdings.has_alive() == *wanted,
        }
    }
}

/// Whether one of `parts`, in lower case, is a substring of the plugin's id, title or description.
fn mentions(plugin: &Plugin, id: &UniqueId, parts: &[String]) -> bool {
    let texts = [Some(id.as_str()), Some(plugin.title.as_str()), plugin.description.as_deref()];
    texts.into_iter().flatten().map(str::to_lowercase).any(|text| parts.iter().any(|part| text.contains(part)))
}
