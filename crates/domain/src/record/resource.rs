//! One thing that a plugin holds: a process, a container or a remote resource.

use serde::{Deserialize, Serialize};

use crate::plugin::{Pid, Plugin, RemoteResource};
use crate::wire_names;

wire_names! {
    /// What is held.
    ResourceKind {
        /// A process on the plugin's host.
        Process = "process",
        /// A container on the plugin's host.
        Container = "container",
        /// A remote resource.
        Remote = "remote",
    }
}

/// A place among the things that a plugin holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// What it is.
    pub kind: ResourceKind,
    /// The process id, the container id, or of a remote resource the first that it has of
    /// instance id, job id, endpoint and SSH host; empty when it has none.
    pub id: Box<str>,
}

/// The fewest digits that tell a container from another, as Docker shows them.
const SHORT_CONTAINER_ID: usize = 12;

/// Whether a text can be the beginning of a container's id.
pub(crate) fn is_short_id(text: &str) -> bool {
    text.len() >= SHORT_CONTAINER_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One thing that is held, not yet a row.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Held<'a> {
    Process(Pid),
    Container(&'a str),
    Remote(&'a RemoteResource),
}

/// The places of all that a plugin holds.
pub(crate) fn held_slots(plugin: &Plugin) -> impl Iterator<Item = Slot> + '_ {
    held_by(plugin).map(Held::slot)
}

/// All that a plugin holds: its processes, its container, its remote resource.
pub fn held_by(plugin: &Plugin) -> impl Iterator<Item = Held<'_>> {
    let processes = plugin.spawned_pids.iter().map(Held::Process);
    let container = plugin.container().map(Held::Container);
    processes.chain(container).chain(plugin.remote_resource.as_ref().map(Held::Remote))
}

impl<'a> Held<'a> {
    /// What it is.
    pub fn kind(self) -> ResourceKind {
        match self {
            Held::Process(_) => ResourceKind::Process,
            Held::Container(_) => ResourceKind::Container,
            Held::Remote(_) => ResourceKind::Remote,
        }
    }

    /// What the plugin says of it: `running` for a process or a container, the status of a remote resource.
    pub fn claimed(self) -> &'a str {
        match self {
            Held::Process(_) | Held::Container(_) => "running",
            Held::Remote(remote) => &remote.status,
        }
    }

    /// Whether a provider may be charging for it.
    pub fn is_billable(self) -> bool {
        matches!(self, Held::Remote(remote) if remote.is_billable())
    }

    /// Whether it may run or bill, as far as the plugin says.
    pub fn may_run(self) -> bool {
        match self {
            Held::Process(_) | Held::Container(_) => true,
            Held::Remote(remote) => remote.is_billable() || remote.status == "unknown",
        }
    }

    /// What names it.
    pub fn id(self) -> Option<String> {
        match self {
            Held::Process(pid) => Some(pid.to_string()),
            Held::Container(id) => Some(id.to_owned()),
            Held::Remote(remote) => {
                let ids = [&remote.instance_id, &remote.job_id, &remote.endpoint_url, &remote.ssh_host];
                ids.into_iter().flatten().next().cloned()
            }
        }
    }

    /// Its place among what the plugin holds.
    pub fn slot(self) -> Slot {
        Slot { kind: self.kind(), id: self.id().unwrap_or_default().into() }
    }
}
