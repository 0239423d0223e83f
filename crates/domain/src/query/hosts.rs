//! What plugins hold, by host: one pass over everything that is held.

use std::collections::BTreeMap;

use super::pace::{Pace, paced};
use crate::cost::version::rented;
use crate::host;
use crate::index::IndexKey;
use crate::money::MicroUsd;
use crate::record::{FindingKind, Record, ResourceKind, finding_rules};
use crate::state::State;

/// What is held on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldOn {
    /// How many plugins name the host.
    pub plugins: usize,
    /// How many processes are held there.
    pub processes: usize,
    /// How many containers are held there.
    pub containers: usize,
    /// How many remote resources the plugins hold that name the host.
    pub remotes: usize,
    /// How many findings no client has acknowledged, by their kind.
    pub findings: BTreeMap<FindingKind, usize>,
    /// The current cost of an hour of the plugins that name the host.
    pub burn: MicroUsd,
}

/// What is held, by the normal form of the host; `None` for what has no host.
pub type HeldByHost = BTreeMap<Option<Box<str>>, HeldOn>;

/// Everything that plugins hold, by host.
///
/// A remote resource is on no host, so it counts for the host of its plugin, as in the groups of costs.
///
/// # Errors
///
/// If the pace stops the scan.
pub fn held_by_host<P: Pace>(state: &State, pace: &P) -> Result<HeldByHost, P::Stop> {
    let mut hosts = HeldByHost::new();
    for (name, plugins) in state.indexes().hosts() {
        hosts.entry(Some(name.into())).or_default().plugins = plugins;
    }
    let holding = state.having(&IndexKey::Holding);
    for record in paced(holding.into_iter().flat_map(|records| records.values()), pace) {
        add(&mut hosts, record?);
    }
    Ok(hosts)
}

fn add(hosts: &mut HeldByHost, record: &Record) {
    let named = host::normal_of(record.plugin.host.as_deref());
    for held in record.held() {
        let place = if held.slot.kind == ResourceKind::Remote { named.clone() } else { host::normal_of(held.host) };
        let on = hosts.entry(place).or_default();
        match held.slot.kind {
            ResourceKind::Process => on.processes += 1,
            ResourceKind::Container => on.containers += 1,
            ResourceKind::Remote => on.remotes += 1,
        }
        if let Some(finding) = finding_rules::open(&held) {
            *on.findings.entry(finding).or_default() += 1;
        }
    }
    let burn: MicroUsd = rented(record).map(|rented| rented.rate_now().hourly()).sum();
    if burn != MicroUsd::default() {
        hosts.entry(named).or_default().burn += burn;
    }
}

impl HeldOn {
    /// Adds what is held on the same host under another name.
    pub fn add(&mut self, other: HeldOn) {
        self.plugins += other.plugins;
        self.processes += other.processes;
        self.containers += other.containers;
        self.remotes += other.remotes;
        self.burn += other.burn;
        for (finding, count) in other.findings {
            *self.findings.entry(finding).or_default() += count;
        }
    }
}
