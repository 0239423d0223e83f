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
}

/// The minimum length of a container id's prefix, as Docker shows it.
const SHORT_CONTAINER_ID: usize = 12;

/// Whether a text can be the prefix of a container's id.
pub(crate) fn is_short_id(text: &str) -> bool {
    text.len() >= SHORT_CONTAINER_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One held resource, before it becomes a row.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Holding<'a> {
    Process(Pid),
    Container(&'a str),
    Remote(&'a RemoteResource),
}

/// The slots of all resources of a plugin.
pub(crate) fn slots_of(plugin: &Plugin) -> impl Iterator<Item = Slot> + '_ {
    holdings_of(plugin).map(Holding::slot)
}

/// All resources of a plugin: its processes, its container, its remote resource.
pub fn holdings_of(plugin: &Plugin) -> impl Iterator<Item = Holding<'_>> {
    let processes = plugin.spawned_pids.iter().map(Holding::Process);
    let container = plugin.container().map(Holding::Container);
    processes.chain(container).chain(plugin.remote_resource.as_ref().map(Holding::Remote))
}

impl<'a> Holding<'a> {
    /// The kind.
    pub fn kind(self) -> ResourceKind {
        match self {
            Holding::Process(_) => ResourceKind::Process,
            Holding::Container(_) => ResourceKind::Container,
            Holding::Remote(_) => ResourceKind::Remote,
        }
    }

    /// The status that the plugin claims: `running` for a process or a container, the status of a remote resource.
    pub fn claimed(self) -> &'a str {
        match self {
            Holding::Process(_) | Holding::Container(_) => "running",
            Holding::Remote(remote) => &remote.status,
        }
    }

    /// Whether a provider may charge for it.
    pub fn is_billable(self) -> bool {
        matches!(self, Holding::Remote(remote) if remote.is_billable())
    }

    /// Whether it may run or bill, according to the plugin.
    pub fn may_run(self) -> bool {
        match self {
            Holding::Process(_) | Holding::Container(_) => true,
            Holding::Remote(remote) => remote.is_billable() || remote.status == "unknown",
        }
    }

    /// Its id.
    pub fn id(self) -> Option<String> {
        match self {
            Holding::Process(pid) => Some(pid.to_string()),
            Holding::Container(id) => Some(container_id::normal(id).into_owned()),
            Holding::Remote(remote) => {
                let ids = [&remote.instance_id, &remote.job_id, &remote.endpoint_url, &remote.ssh_host];
                ids.into_iter().flatten().next().cloned()
            }
        }
    }

    /// Its slot within the plugin.
    pub fn slot(self) -> Slot {
        Slot { kind: self.kind(), id: self.id().unwrap_or_default().into() }
    }
}
