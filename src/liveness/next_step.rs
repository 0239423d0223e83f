//! What an operator can do about a resource that no probe can see: what `doctor` says where a probe looks, and
//! otherwise which hosts are looked at.

use std::collections::BTreeSet;

use super::visibility::Point;
use domain::host::{self, HostNames};
use domain::query::Resource;
use domain::record::{FindingKind, ResourceKind};

/// How many hosts a next step names.
const MOST_HOSTS: usize = 10;

/// The hosts at which probes look.
#[derive(Debug)]
pub struct ProbedHosts<'a> {
    /// The names of the registry's own host.
    pub own: &'a HostNames,
    /// What the registry sees of its own host; empty if it does not look there.
    pub sight: &'a [Point],
    /// The hosts of the agents that have reported lately, in normal form.
    pub agents: &'a BTreeSet<Box<str>>,
}

impl ProbedHosts<'_> {
    /// Sets the next step of each unverified process and container in `rows`.
    pub fn advise(&self, rows: &mut [Resource]) {
        for row in rows {
            if row.finding == Some(FindingKind::Unverified)
                && let Some(step) = self.step(row)
                && let Some(evidence) = &mut row.evidence
            {
                evidence.next_step = format!("{step}; until then treat it as running");
            }
        }
    }

    /// The next step of an unverified resource; `None` if the general one is right.
    fn step(&self, row: &Resource) -> Option<String> {
        let name = row.host.as_deref().filter(|_| row.kind != ResourceKind::Remote)?;
        let (kind, id) = (row.kind.as_str(), row.id.as_deref()?);
        if self.own.contains(name) && !self.sight.is_empty() {
            let step = match self.hidden(row.kind) {
                Some(Point { detail, advice: Some(advice), .. }) => {
                    format!("the registry looks at {name} itself, but {detail}; {advice}")
                }
                _ => format!("the registry looks at {name} itself; check there whether {kind} {id} runs"),
            };
            return Some(step);
        }
        if self.agents.contains(&*host::normal(name)) {
            return Some(format!(
                "run `plugin-registry doctor {kind}:{id}` on {name}: it says how the agent can see it"
            ));
        }
        let probed = self.in_words();
        Some(format!(
            "no probe looks at the host {name:?}{probed}; run `plugin-registry agent` there, or correct `host`"
        ))
    }

    /// What hides the resources of a kind on the registry's own host.
    fn hidden(&self, kind: ResourceKind) -> Option<&Point> {
        let is_of_containers = |point: &&Point| point.what == "containers";
        let mut hidden = self.sight.iter().filter(|point| !point.visible);
        match kind {
            ResourceKind::Container => hidden.find(is_of_containers),
            // Without a machine id, processes are visible all the same.
            ResourceKind::Process => hidden.find(|point| matches!(point.what, "processes" | "pid namespace")),
            ResourceKind::Remote => None,
        }
    }

    /// The hosts that are looked at, to follow the one that is not.
    fn in_words(&self) -> String {
        let own = self.own.iter().filter(|name| !self.sight.is_empty() && *name != host::LOCALHOST);
        let probed: BTreeSet<&str> = own.chain(self.agents.iter().map(|host| &**host)).collect();
        let named: Vec<&str> = probed.iter().copied().take(MOST_HOSTS).collect();
        match (named.is_empty(), probed.len() > named.len()) {
            (true, _) => String::new(),
            (false, false) => format!(", only at {}", named.join(", ")),
            (false, true) => format!(", only at {} …", named.join(", ")),
        }
    }
}
