//! The order of a list, and the position where the next page starts.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::plugin::UniqueId;
use crate::record::Record;
use crate::wire_names;

wire_names! {
    /// A scalar field that a list can be sorted by.
    SortField {
        /// The default.
        UniqueId = "unique_id",
        /// By name.
        Name = "name",
        /// By category.
        Category = "category",
        /// By title.
        Title = "title",
        /// By description.
        Description = "description",
        /// By version, as text.
        Version = "version",
        /// By whether the plugin is configured: false first.
        IsConfigured = "is_configured",
        /// By execution mode.
        ExecutionMode = "execution_mode",
        /// By whether the plugin starts child processes: false first.
        ManagesChildProcesses = "manages_child_processes",
        /// By whether the plugin starts external resources: false first.
        ManagesExternalResources = "manages_external_resources",
        /// By container.
        ContainerId = "container_id",
        /// By conda environment.
        CondaEnvName = "conda_env_name",
        /// By host.
        Host = "host",
        /// By lease.
        LeaseId = "lease_id",
        /// By whether the execution is local: false first.
        IsLocalExecution = "is_local_execution",
        /// By whether the execution is in the cloud: false first.
        IsCloudExecution = "is_cloud_execution",
        /// By whether the plugin holds an active resource: false first.
        HasActiveResources = "has_active_resources",
        /// By whether a provider may charge: false first.
        Billable = "billable",
        /// `status_class`
        StatusClass = "status_class",
        /// By the revision of the newest change.
        Revision = "revision",
        /// By the time of registration.
        CreatedAt = "created_at",
        /// By the time of the newest change.
        UpdatedAt = "updated_at",
    }
}

/// A sort field and a direction. Equal values are ordered by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub field: SortField,
    /// Whether the largest value comes first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Sort {
        Sort { field: SortField::UniqueId, descending: false }
    }
}

/// The value of a scalar field; null comes before everything else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKey {
    /// No value.
    Null,
    /// A flag.
    Flag(bool),
    /// A number, or a time in microseconds.
    Number(i64),
    /// A text, compared by the code points of its first 256 characters.
    Text(Box<str>),
}

/// A record's position in a sorted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The value of the sort field.
    pub key: SortKey,
    /// The order of equal values.
    pub unique_id: UniqueId,
}

impl Sort {
    /// The position of `record`.
    pub fn position(self, record: &Record) -> Position {
        Position { key: key_of(self.field, record), unique_id: record.unique_id.clone() }
    }

    /// Compares two positions.
    pub fn compare(self, a: &Position, b: &Position) -> Ordering {
        let by_key = if self.descending { b.key.cmp(&a.key) } else { a.key.cmp(&b.key) };
        let by_id = a.unique_id.cmp(&b.unique_id);
        let ids_descend = self.descending && self.field == SortField::UniqueId;
        by_key.then(if ids_descend { by_id.reverse() } else { by_id })
    }
}

/// The number of characters to compare. A cursor carries them, and must fit into a URL.
const MAX_COMPARED: usize = 256;

/// The key of a text.
pub(super) fn text_key(text: &str) -> SortKey {
    SortKey::Text(text.chars().take(MAX_COMPARED).collect())
}

fn key_of(field: SortField, record: &Record) -> SortKey {
    let plugin = &record.plugin;
    let text = text_key;
    let optional = |value: &Option<String>| value.as_deref().map_or(SortKey::Null, text);
    let time = |time: Timestamp| SortKey::Number(time.as_microsecond());
    match field {
        // The id itself decides the order.
        SortField::UniqueId => SortKey::Null,
        SortField::Name => text(plugin.name.as_str()),
        SortField::Category => text(plugin.category.as_str()),
        SortField::Title => text(&plugin.title),
        SortField::Description => optional(&plugin.description),
        SortField::Version => optional(&plugin.version),
        SortField::IsConfigured => SortKey::Flag(plugin.is_configured),
        SortField::ExecutionMode => text(plugin.execution_mode.as_str()),
        SortField::ManagesChildProcesses => SortKey::Flag(plugin.manages_child_processes),
        SortField::ManagesExternalResources => SortKey::Flag(plugin.manages_external_resources),
        SortField::ContainerId => optional(&plugin.container_id),
        SortField::CondaEnvName => optional(&plugin.conda_env_name),
        SortField::Host => optional(&plugin.host),
        SortField::LeaseId => optional(&plugin.lease_id),
        SortField::IsLocalExecution => SortKey::Flag(plugin.execution_mode.is_local()),
        SortField::IsCloudExecution => SortKey::Flag(!plugin.execution_mode.is_local()),
        SortField::HasActiveResources => SortKey::Flag(plugin.has_active_resources()),
        SortField::Billable => SortKey::Flag(record.is_billable()),
        SortField::StatusClass => {
            plugin.remote_resource.as_ref().map_or(SortKey::Null, |remote| text(remote.status_class().as_str()))
        }
        SortField::Revision => SortKey::Number(i64::try_from(record.revision.0).unwrap_or(i64::MAX)),
        SortField::CreatedAt => time(record.created_at),
        SortField::UpdatedAt => time(record.updated_at),
    }
}
