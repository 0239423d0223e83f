//! One resource that a plugin holds: a process, a container or a remote resource.

use serde::{Deserialize, Serialize};

use crate::plugin::{Pid, Plugin, RemoteResource, container_id};
use crate::wire_names;

wire_names! {
    /// The kind of a resource.
    ResourceKind {
        /// A process on the plugin's host.
        Process = "process",
        /// A container on the plugin's host.
        Container = "container",
        /// A remote resource.
        Remote = "remote",
    }
}

/// The identity of a resource within its plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The process id, or the container id in normal form. For a remote resource, the first present of instance id, job
    /// id, endpoint and SSH host; empty if it has none.
    pub id: Box<str>,
    /// The host where the plugin left the resource behind; `None` if it is on the plugin's present host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
}

impl Slot {
    /// A resource on the plugin's present host.
    pub fn new(kind: ResourceKind, id: impl Into<Box<str>>) -> Slot {
        Slot { kind, id: id.into(), host: None }
    }
}

/// The minimum length of a container id's prefix, as Docker shows it.
const SHORT_CONTAINER_ID: usize = 12;

/// Whether a text can be the prefix of a container's id.
pub(crate) fn is_short_id(text: &str) -> bool {
    text.len() >= SHORT_CONTAINER_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One resource, as its plugin describes it.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum ResourceRef<'a> {
    Process(Pid),
    Container(&'a str),
    Remote(&'a RemoteResource),
}

/// All resources that a plugin's document names: its processes, its container, its remote resource.
pub fn resources_of(plugin: &Plugin) -> impl Iterator<Item = ResourceRef<'_>> {
    let processes = plugin.spawned_pids.iter().map(ResourceRef::Process);
    let container = plugin.container().map(ResourceRef::Container);
    processes.chain(container).chain(plugin.remote_resource.as_ref().map(ResourceRef::Remote))
}

impl<'a> ResourceRef<'a> {
    /// The kind.
    pub fn kind(self) -> ResourceKind {
        match self {
            ResourceRef::Process(_) => ResourceKind::Process,
            ResourceRef::Container(_) => ResourceKind::Container,
            ResourceRef::Remote(_) => ResourceKind::Remote,
        }
    }

    /// The status that the plugin claims: `running` for a process or a container, the status of a remote resource.
    pub fn claimed(self) -> &'a str {
        match self {
            ResourceRef::Process(_) | ResourceRef::Container(_) => "running",
            ResourceRef::Remote(remote) => &remote.status,
        }
    }

    /// Whether a provider may charge for it.
    pub fn is_billable(self) -> bool {
        matches!(self, ResourceRef::Remote(remote) if remote.is_billable())
    }

    /// Whether it may run or bill, according to the plugin.
    pub fn may_run(self) -> bool {
        match self {
            ResourceRef::Process(_) | ResourceRef::Container(_) => true,
            ResourceRef::Remote(remote) => remote.is_billable(),
        }
    }

    /// Its id.
    pub fn id(self) -> Option<String> {
        match self {
            ResourceRef::Process(pid) => Some(pid.to_string()),
            ResourceRef::Container(id) => Some(container_id::normal(id).into_owned()),
            ResourceRef::Remote(remote) => remote.id().map(str::to_owned),
        }
    }

    /// Its slot on the plugin's present host.
    pub fn slot(self) -> Slot {
        Slot::new(self.kind(), self.id().unwrap_or_default())
    }
}
