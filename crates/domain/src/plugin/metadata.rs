//! A plugin as it stands, and the rules derived from it.

use serde::{Deserialize, Serialize};

use super::execution_mode::ExecutionMode;
use super::identity::{Name, PluginKey, UniqueId};
use super::json::FreeJson;
use super::labels::Labels;
use super::pids::Pids;
use super::remote::RemoteResource;

/// Fields of a reply that a client cannot set; a request that carries them is not refused for it.
pub const READ_ONLY_FIELDS: &[&str] = &[
    "unique_id",
    "is_local_execution",
    "is_cloud_execution",
    "has_active_resources",
    "billable",
    "observed",
    "revision",
    "created_at",
    "updated_at",
];

/// A plugin as it stands: every field that a client can set, by its name on the wire.
///
/// Serialised, this is also what the stores keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plugin {
    /// The name within the category.
    pub name: Name,
    /// The category.
    pub category: Name,
    /// What people call it.
    pub title: String,
    /// A JSON Schema (an object) that configurations must obey.
    pub config_schema: FreeJson,
    /// What it does.
    pub description: Option<String>,
    /// Its version, in whatever form it has.
    pub version: Option<String>,
    /// Whether it is ready for use.
    pub is_configured: bool,
    /// Where it does its work.
    pub execution_mode: ExecutionMode,
    /// Whether it starts child processes.
    pub manages_child_processes: bool,
    /// Whether it starts things elsewhere.
    pub manages_external_resources: bool,
    /// The child processes that it holds.
    pub spawned_pids: Pids,
    /// The container that it holds.
    pub container_id: Option<String>,
    /// The conda environment that it runs in.
    pub conda_env_name: Option<String>,
    /// What it rents elsewhere.
    pub remote_resource: Option<RemoteResource>,
    /// The host on which its processes and container live.
    pub host: Option<String>,
    /// What its users call it by.
    pub labels: Labels,
    /// The lease of the application process that holds it.
    pub lease_id: Option<String>,
}

impl Plugin {
    /// The fields, as they are called on the wire.
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

    /// The container id, when it names a container: an empty one does not.
    pub fn container(&self) -> Option<&str> {
        self.container_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Returns true if and only if it holds a process, a container or a running remote resource.
    pub fn has_active_resources(&self) -> bool {
        !self.spawned_pids.is_empty()
            || self.container().is_some()
            || self.remote_resource.as_ref().is_some_and(RemoteResource::is_running)
    }

    /// Returns true if and only if a provider may be charging for its remote resource.
    pub fn is_billable(&self) -> bool {
        self.remote_resource.as_ref().is_some_and(RemoteResource::is_billable)
    }

    /// Returns true if and only if it holds anything, in whatever state.
    pub fn holds_anything(&self) -> bool {
        !self.spawned_pids.is_empty() || self.container().is_some() || self.remote_resource.is_some()
    }
}
