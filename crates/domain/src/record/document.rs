//! A plugin as the registry stores it, and its JSON in every response.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::holdings::{Holding, Holdings};
use super::observed_document::ObservedDocument;
use super::resource::{ResourceKind, Slot, resources_of};
use super::stop::{StopAnswerDocument, StopRequestDocument};
use crate::host;
use crate::plugin::{ExecutionMode, FreeJson, Pid, Plugin, RemoteResource, StatusClass, UniqueId, container_id};
use crate::revision::Revision;

/// A plugin with its registry data.
#[derive(Debug)]
pub struct Record {
    /// Its id.
    pub unique_id: UniqueId,
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// Its saved configuration.
    pub config: Option<FreeJson>,
    /// The newest change to it.
    pub revision: Revision,
    /// When it was registered; a removal starts anew.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its resources: their claims, observations and findings.
    pub holdings: Holdings,
    /// The JSON of responses, serialised when the record was made.
    pub json: Bytes,
    /// See [`Holdings::bytes`].
    fact_bytes: u64,
}

impl Record {
    /// Makes a record of a plugin without recorded claims and observations, and serialises its document.
    pub fn new(
        plugin: Arc<Plugin>,
        config: Option<FreeJson>,
        revision: Revision,
        created_at: Timestamp,
        updated_at: Timestamp,
    ) -> Record {
        Record::holding(plugin, config, revision, (created_at, updated_at), Holdings::default())
    }

    /// Makes a record, and serialises its document. The times are those of the first and of the newest change.
    pub fn holding(
        plugin: Arc<Plugin>,
        config: Option<FreeJson>,
        revision: Revision,
        (created_at, updated_at): (Timestamp, Timestamp),
        holdings: Holdings,
    ) -> Record {
        let unique_id = plugin.unique_id();
        let holdings = holdings.completed(&plugin, updated_at);
        let mut document = PluginDocument::of(&plugin, unique_id.as_str(), revision, created_at, updated_at);
        document.billable = is_billable(&plugin, &holdings);
        document.stop_requested = holdings.stop().and_then(|stop| stop.pending()).map(Into::into);
        document.stop_answer = holdings.stop().and_then(|stop| stop.shown_answer());
        document.observed = ObservedDocument::of(unique_id.as_str(), &plugin, &holdings);
        // Serialising these types to memory cannot fail: all keys of maps are strings.
        let json = serde_json::to_vec(&document).unwrap_or_default().into();
        let fact_bytes = holdings.bytes();
        Record { unique_id, plugin, config, revision, created_at, updated_at, holdings, json, fact_bytes }
    }

    /// The bytes of its document, its configuration, and what is known about its resources.
    pub fn bytes(&self) -> u64 {
        let config = self.config.as_ref().map_or(0, |config| config.as_str().len());
        (self.json.len() + config) as u64 + self.fact_bytes
    }

    /// Everything that the plugin holds: what its document names, then what it left behind.
    pub fn held(&self) -> impl Iterator<Item = Holding<'_>> {
        self.holdings.iter(&self.plugin)
    }

    /// The resource at an index of [`Record::held`].
    pub fn held_at(&self, index: usize) -> Option<Holding<'_>> {
        self.holdings.nth(&self.plugin, index)
    }

    /// How many resources the plugin holds: the length of [`Record::held`].
    pub fn held_count(&self) -> usize {
        resources_of(&self.plugin).count() + self.holdings.left().count()
    }

    /// Returns true if and only if the plugin holds a resource of this name.
    pub fn holds(&self, slot: &Slot) -> bool {
        let is_left = self.holdings.get(slot).is_some_and(|facts| facts.left.is_some());
        is_left || (slot.host.is_none() && is_named(&self.plugin, slot))
    }

    /// The slot that a client means who names the host of a resource. The plugin's present host needs no name.
    #[must_use]
    pub fn named(&self, slot: Slot) -> Slot {
        let Some(wanted) = slot.host.as_deref() else { return slot };
        let is_present = self.plugin.host.as_deref().is_some_and(|own| host::is_same(own, wanted));
        let left = self.holdings.left().map(|(left, _)| left);
        let mut there = left.filter(|left| (left.kind, &left.id) == (slot.kind, &slot.id));
        let left = there.find(|left| left.host.as_deref().is_some_and(|host| host::is_same(host, wanted)));
        match left {
            _ if is_present => Slot { host: None, ..slot },
            Some(left) => left.clone(),
            None => slot,
        }
    }

    /// Returns true if and only if the plugin holds anything, in any state.
    pub fn holds_anything(&self) -> bool {
        self.plugin.holds_anything() || self.holdings.left().next().is_some()
    }

    /// Returns true if and only if a provider may charge for something that the plugin holds.
    pub fn is_billable(&self) -> bool {
        is_billable(&self.plugin, &self.holdings)
    }
}

/// Two records are equal if and only if all their responses are equal.
impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.json == other.json && self.config == other.config && self.holdings == other.holdings
    }
}

fn is_billable(plugin: &Plugin, holdings: &Holdings) -> bool {
    let left = || holdings.left().filter_map(|(_, left)| left.remote.as_ref()).any(RemoteResource::is_billable);
    plugin.is_billable() || left()
}

/// Whether a plugin's document names a resource.
fn is_named(plugin: &Plugin, slot: &Slot) -> bool {
    match slot.kind {
        ResourceKind::Process => {
            let pid = slot.id.parse::<Pid>().ok().filter(|pid| *slot.id == *pid.to_string());
            pid.is_some_and(|pid| plugin.spawned_pids.contains(pid))
        }
        ResourceKind::Container => {
            plugin.container().is_some_and(|id| container_id::normal(id) == container_id::normal(&slot.id))
        }
        ResourceKind::Remote => {
            plugin.remote_resource.as_ref().is_some_and(|remote| remote.id().unwrap_or_default() == &*slot.id)
        }
    }
}

/// A plugin, as every response shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugin)]
pub struct PluginDocument<'a> {
    /// `{category}_{name}`: the plugin's address.
    #[schema(examples("transcription_whisper_tiny"))]
    unique_id: &'a str,
    /// The name within the category.
    #[schema(examples("whisper_tiny"))]
    name: &'a str,
    /// The category.
    #[schema(examples("transcription"))]
    category: &'a str,
    /// The display name.
    title: &'a str,
    /// A JSON Schema for configurations.
    #[schema(value_type = Object)]
    config_schema: &'a FreeJson,
    /// The purpose of the plugin.
    #[schema(required)]
    description: Option<&'a str>,
    /// The version, in any format.
    #[schema(required)]
    version: Option<&'a str>,
    /// Whether the plugin is ready for use.
    is_configured: bool,
    /// Where the plugin does its work.
    execution_mode: ExecutionMode,
    /// Whether the plugin starts child processes.
    manages_child_processes: bool,
    /// Whether the plugin starts external resources.
    manages_external_resources: bool,
    /// The process ids of its child processes.
    #[schema(value_type = Vec<u32>)]
    spawned_pids: &'a crate::plugin::Pids,
    /// The id of its container.
    #[schema(required)]
    container_id: Option<&'a str>,
    /// Its conda environment.
    #[schema(required)]
    conda_env_name: Option<&'a str>,
    /// Its remote resource.
    #[schema(required)]
    remote_resource: Option<&'a RemoteResource>,
    /// The host of its processes and container.
    #[schema(required)]
    host: Option<&'a str>,
    /// User-defined labels.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    labels: &'a crate::plugin::Labels,
    /// The lease of the application process that holds the plugin.
    #[schema(required)]
    lease_id: Option<&'a str>,
    /// Whether the work is done on the application's host.
    is_local_execution: bool,
    /// Whether the work is done elsewhere.
    is_cloud_execution: bool,
    /// Whether the plugin holds a process, a container, or a remote resource whose status is exactly `running`.
    has_active_resources: bool,
    /// Whether a provider may charge for something that the plugin holds or left behind.
    billable: bool,
    /// The class of the remote resource's status; null without a remote resource.
    #[schema(required)]
    status_class: Option<StatusClass>,
    /// The observations of its resources; null if there are none.
    #[schema(required)]
    observed: Option<ObservedDocument<'a>>,
    /// The request to stop the plugin that has no answer yet; null if there is none.
    #[schema(required)]
    stop_requested: Option<StopRequestDocument<'a>>,
    /// The answer to the last request to stop the plugin; null without one, and once nothing that it holds runs or bills.
    #[schema(required)]
    stop_answer: Option<StopAnswerDocument<'a>>,
    /// The newest change to it.
    #[schema(value_type = u64)]
    revision: Revision,
    /// When it was registered (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last changed (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> PluginDocument<'a> {
    /// The fields, in the order of the document.
    pub const FIELDS: &'static [&'static str] = &[
        "unique_id",
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

    fn of(
        plugin: &'a Plugin,
        unique_id: &'a str,
        revision: Revision,
        created_at: Timestamp,
        updated_at: Timestamp,
    ) -> PluginDocument<'a> {
        PluginDocument {
            unique_id,
            name: plugin.name.as_str(),
            category: plugin.category.as_str(),
            title: &plugin.title,
            config_schema: &plugin.config_schema,
            description: plugin.description.as_deref(),
            version: plugin.version.as_deref(),
            is_configured: plugin.is_configured,
            execution_mode: plugin.execution_mode,
            manages_child_processes: plugin.manages_child_processes,
            manages_external_resources: plugin.manages_external_resources,
            spawned_pids: &plugin.spawned_pids,
            container_id: plugin.container_id.as_deref(),
            conda_env_name: plugin.conda_env_name.as_deref(),
            remote_resource: plugin.remote_resource.as_ref(),
            host: plugin.host.as_deref(),
            labels: &plugin.labels,
            lease_id: plugin.lease_id.as_deref(),
            is_local_execution: plugin.execution_mode.is_local(),
            is_cloud_execution: !plugin.execution_mode.is_local(),
            has_active_resources: plugin.has_active_resources(),
            billable: plugin.is_billable(),
            status_class: plugin.remote_resource.as_ref().map(RemoteResource::status_class),
            observed: None,
            stop_requested: None,
            stop_answer: None,
            revision,
            created_at,
            updated_at,
        }
    }
}
