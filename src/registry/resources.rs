//! Everything that is held, as rows: one a process, one a container, one a remote resource.

use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::document::Record;
use super::index::{IndexKey, Records};
use super::state::State;
use crate::plugin::wire_names::wire_names;
use crate::plugin::{Pid, Plugin, RemoteResource, UniqueId};

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

/// One thing that a plugin claims to hold.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Resource {
    /// Whose it is: a unique_id.
    #[schema(value_type = String)]
    pub plugin: UniqueId,
    /// What it is.
    pub kind: ResourceKind,
    /// Where it is; null when the plugin has not said, and for what is remote.
    #[schema(required)]
    pub host: Option<String>,
    /// The process id, the container id, or of a remote resource the first that it has of
    /// instance id, job id, endpoint and SSH host.
    #[schema(required)]
    pub id: Option<String>,
    /// What the plugin says of it: `running` for a process or a container, the status of a remote resource.
    pub claimed: String,
    /// Whether a provider may be charging for it.
    pub billable: bool,
}

/// Which of the held things to list. Conditions that are `None` hold for everything.
#[derive(Debug, Clone, Default)]
pub struct ResourceQuery {
    /// Of this kind.
    pub kind: Option<ResourceKind>,
    /// On this host.
    pub host: Option<String>,
    /// This process.
    pub pid: Option<Pid>,
    /// This container.
    pub container_id: Option<String>,
    /// This instance.
    pub instance_id: Option<String>,
    /// The most rows to return.
    pub limit: usize,
    /// The rows begin after this one.
    pub after: Option<RowPosition>,
}

/// A row's place: its plugin, and how many rows of that plugin come before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPosition {
    /// The plugin.
    pub unique_id: UniqueId,
    /// The row among those of the plugin, from 0.
    pub row: usize,
}

/// A part of the rows.
#[derive(Debug)]
pub struct ResourcePage {
    /// The rows, in the order of the plugins' ids.
    pub items: Vec<Resource>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<RowPosition>,
}

impl ResourceQuery {
    /// Makes the list.
    pub fn run(&self, state: &State) -> ResourcePage {
        let nothing = Records::default();
        let candidates = self.candidates(state).unwrap_or(&nothing);
        let from = match &self.after {
            Some(after) => Bound::Included(after.unique_id.clone()),
            None => Bound::Unbounded,
        };
        let records = candidates.range((from, Bound::Unbounded)).map(|(_, record)| record);
        let rows = records.flat_map(|record| self.rows_of(record));
        let mut wanted: Vec<_> =
            rows.filter(|(position, _)| self.follows(position)).take(self.limit.saturating_add(1)).collect();
        let more = wanted.len() > self.limit;
        wanted.truncate(self.limit);
        let next = wanted.last().filter(|_| more).map(|(position, _)| position.clone());
        ResourcePage { items: wanted.into_iter().map(|(_, row)| row).collect(), next }
    }

    /// The rows of one plugin that fulfil the conditions.
    pub fn rows(&self, record: &Arc<Record>) -> Vec<Resource> {
        self.rows_of(record).map(|(_, row)| row).collect()
    }

    /// How many plugins have to be looked at.
    pub fn cost(&self, state: &State) -> usize {
        self.candidates(state).map_or(0, Records::size)
    }

    fn candidates<'a>(&self, state: &'a State) -> Option<&'a Records> {
        if let Some(pid) = self.pid {
            return state.having(&IndexKey::Pid(pid));
        }
        if let Some(container) = &self.container_id {
            return state.having(&IndexKey::Container(container.as_str().into()));
        }
        if let Some(instance) = &self.instance_id {
            return state.having(&IndexKey::Instance(instance.as_str().into()));
        }
        if let Some(host) = &self.host {
            return state.having(&IndexKey::Host(host.as_str().into()));
        }
        state.having(&IndexKey::Holding)
    }

    fn follows(&self, position: &RowPosition) -> bool {
        self.after.as_ref().is_none_or(|after| after.unique_id != position.unique_id || after.row < position.row)
    }

    /// The same, each with its place.
    fn rows_of<'a>(&'a self, record: &'a Arc<Record>) -> impl Iterator<Item = (RowPosition, Resource)> + 'a {
        let held = held_by(&record.plugin).enumerate().filter(|(_, held)| self.accepts(*held, record));
        held.map(|(row, held)| {
            let position = RowPosition { unique_id: record.unique_id.clone(), row };
            (position, held.row(record))
        })
    }

    fn accepts(&self, held: Held<'_>, record: &Record) -> bool {
        let is = |wanted: &Option<String>, id: Option<&str>| wanted.is_none() || wanted.as_deref() == id;
        let here = record.plugin.host.as_deref();
        let (host, pid, container, instance) = match held {
            Held::Process(pid) => (here, Some(pid), None, None),
            Held::Container(id) => (here, None, Some(id), None),
            Held::Remote(remote) => (None, None, None, remote.instance_id.as_deref()),
        };
        self.kind.is_none_or(|kind| kind == held.kind())
            && (self.pid.is_none() || self.pid == pid)
            && is(&self.host, host)
            && is(&self.container_id, container)
            && is(&self.instance_id, instance)
    }
}

/// One thing that is held, not yet a row.
#[derive(Clone, Copy)]
enum Held<'a> {
    Process(Pid),
    Container(&'a str),
    Remote(&'a RemoteResource),
}

fn held_by(plugin: &Plugin) -> impl Iterator<Item = Held<'_>> {
    let processes = plugin.spawned_pids.iter().map(Held::Process);
    let container = plugin.container().map(Held::Container);
    processes.chain(container).chain(plugin.remote_resource.as_ref().map(Held::Remote))
}

impl Held<'_> {
    fn kind(self) -> ResourceKind {
        match self {
            Held::Process(_) => ResourceKind::Process,
            Held::Container(_) => ResourceKind::Container,
            Held::Remote(_) => ResourceKind::Remote,
        }
    }

    fn row(self, record: &Record) -> Resource {
        let plugin = record.unique_id.clone();
        let local = |id: String| (record.plugin.host.clone(), Some(id), "running".to_owned(), false);
        let (host, id, claimed, billable) = match self {
            Held::Process(pid) => local(pid.to_string()),
            Held::Container(id) => local(id.to_owned()),
            Held::Remote(remote) => {
                let ids = [&remote.instance_id, &remote.job_id, &remote.endpoint_url, &remote.ssh_host];
                let id = ids.into_iter().flatten().next().cloned();
                (None, id, remote.status.clone(), remote.is_billable())
            }
        };
        Resource { plugin, kind: self.kind(), host, id, claimed, billable }
    }
}
