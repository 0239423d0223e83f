//! A plugin's document, and the properties derived from it.

use serde::{Deserialize, Serialize};

use super::container_id;
use super::execution_mode::ExecutionMode;
use super::identity::{Name, PluginKey, UniqueId};
use super::json::FreeJson;
use super::labels::Labels;
use super::pids::Pids;
use super::remote::RemoteResource;

/// Fields of a response that a client cannot set. The registry ignores them in a request.
pub const READ_ONLY_FIELDS: &[&str] = &[
    "unique_id",
    "is_local_execution",
    "is_cloud_execution",
    "has_active_resources",
    "billable",
    "status_class",
    "observed",
    "stop_requested",
    "stop_answer",
    "revision",
    "created_at",
    "updated_at",
];

/// A plugin: every field that a client can set, by its name on the wire.
///
/// The stores keep the serialised form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plugin {
    /// The name within the category.
    pub name: Name,
    /// The category.
    pub category: Name,
    /// The display name.
    pub title: String,
    /// A JSON Schema (an object) that configurations must obey.
    pub config_schema: FreeJson,
    /// The purpose of the plugin.
    pub description: Option<String>,
    /// The version, in any format.
    pub version: Option<String>,
    /// Whether the plugin is ready for use.
    pub is_configured: bool,
    /// Where the plugin does its work.
    pub execution_mode: ExecutionMode,
    /// Whether the plugin starts child processes.
    pub manages_child_processes: bool,
    /// Whether the plugin starts external resources.
    pub manages_external_resources: bool,
    /// The process ids of its child processes.
    pub spawned_pids: Pids,
    /// The id of its container.
    pub container_id: Option<String>,
    /// Its conda environment.
    pub conda_env_name: Option<String>,
    /// Its remote resource.
    pub remote_resource: Option<RemoteResource>,
    /// The host of its processes and container.
    pub host: Option<String>,
    /// User-defined labels.
    pub labels: Labels,
    /// The lease of the application process that holds the plugin.
    pub lease_id: Option<String>,
}

impl Plugin {
    /// The fields, by their names on the wire.
    pub const FIELDS: &[&str] = &[
        "name",
        "category",
        "title",
        "config_schema",
        "description",
        "version",
        "is_configured",
        "execution_mode",
        "manages_child_processes",
        "manages_external_resources",
        "spawned_pids",
        "container_id",
        "conda_env_name",
        "remote_resource",
        "host",
        "labels",
        "lease_id",
    ];

    /// The plugin's identity.
    pub fn key(&self) -> PluginKey {
        PluginKey { category: self.category.clone(), name: self.name.clone() }
    }

    /// `{category}_{name}`.
    pub fn unique_id(&self) -> UniqueId {
        self.key().unique_id()
    }

    /// The container id as the client sent it; `None` if it names no container.
    pub fn container(&self) -> Option<&str> {
        self.container_id.as_deref().filter(|id| !container_id::without_prefix(id).is_empty())
    }

    /// Returns true if and only if the plugin holds a process, a container or a running remote resource.
    pub fn has_active_resources(&self) -> bool {
        !self.spawned_pids.is_empty()
            || self.container().is_some()
            || self.remote_resource.as_ref().is_some_and(RemoteResource::is_running)
    }

    /// Returns true if and only if a provider may charge for its remote resource.
    pub fn is_billable(&self) -> bool {
        self.remote_resource.as_ref().is_some_and(RemoteResource::is_billable)
    }

    /// Returns true if and only if the plugin holds anything, in any state.
    pub fn holds_anything(&self) -> bool {
        !self.spawned_pids.is_empty() || self.container().is_some() || self.remote_resource.is_some()
    }
}
