//! The sweep over the processes and containers of one host. The registry uses it for its own host, and
//! an agent for another.

use std::collections::HashMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::container::{ContainerIdentity, ContainerProbe, Containers};
use super::dedup::{LastReport, ReportDedup};
use super::identity::ProcessIdentity;
use super::parentage::{Describe, Parent, SweepDescriptions};
use super::process::{ProcessProbe, ProcessProbeResult, ProcessVisibility};
use super::process_tree::{Descendant, ProcessTable, control_group, in_words};
use super::stat::Stat;
use domain::plugin::{FreeJson, Pid};
use domain::record::{ObservedState, ReportedObservation, ResourceKey, ResourceKind};

/// The mount point of control groups.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// The longest detail that the registry accepts, in characters.
const MAX_DETAIL: usize = 1024;

/// A held resource, and the identity that tells it from a later one with the same id.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOnHost {
    /// The key of the resource.
    pub key: ResourceKey,
    /// The identity that the registry knows; `None` before the first observation.
    pub identity: Option<FreeJson>,
    /// The parent of a process that the registry knows; `None` before the first observation.
    pub parent: Option<FreeJson>,
}

/// Probes the processes and containers of this host.
#[derive(Debug)]
pub struct Prober {
    /// `None` while a sweep has it, or if this process cannot read /proc.
    processes: Option<ProcessProbe>,
    containers: ContainerProbe,
    memory: ReportDedup,
    families: HashMap<ResourceKey, Vec<Descendant>>,
}

impl Prober {
    /// A prober that asks `engine` for containers, and reports an unchanged observation again after `refresh`.
    pub fn new(engine: &str, refresh: SignedDuration) -> Prober {
        Prober {
            processes: None,
            containers: ContainerProbe::new(engine),
            memory: ReportDedup::new(refresh),
            families: HashMap::new(),
        }
    }

    /// Probes all of `held`, and returns the observations to report.
    pub async fn sweep(&mut self, held: &[HeldOnHost], now: Timestamp) -> Vec<ReportedObservation> {
        self.memory.forget_all_but(held.iter().map(|held| &held.key));
        let mut seen = self.sweep_processes(held, now).await;
        seen.extend(self.sweep_containers(held, now).await);
        seen.into_iter().filter_map(|seen| self.memory.news(seen)).collect()
    }

    /// Makes the next sweep report everything: for a registry that has lost its observations.
    pub fn resend_all(&mut self) {
        self.memory.resend_all();
    }

    fn known(&self, held: &HeldOnHost) -> Option<FreeJson> {
        held.identity.clone().or_else(|| self.memory.identity(&held.key).cloned())
    }

    fn wanted(&self, held: &HeldOnHost) -> Option<Wanted> {
        let known = self.known(held).as_ref().and_then(ProcessIdentity::from_json);
        Some(Wanted {
            pid: held.key.id.parse().ok()?,
            key: held.key.clone(),
            known,
            parent: held.parent.clone(),
            remembered: self.memory.parent(&held.key).cloned(),
            abandoned: self.memory.abandoned(&held.key).map(Into::into),
        })
    }

    async fn sweep_processes(&mut self, held: &[HeldOnHost], now: Timestamp) -> Vec<LastReport> {
        let of_processes = held.iter().filter(|held| held.key.kind == ResourceKind::Process);
        let wanted: Vec<Wanted> = of_processes.filter_map(|held| self.wanted(held)).collect();
        if wanted.is_empty() {
            self.families.clear();
            return Vec::new();
        }
        let probe = self.processes.take();
        let families = std::mem::take(&mut self.families);
        // Thousands of reads of /proc take a while, and would block the runtime's thread.
        let swept = tokio::task::spawn_blocking(move || {
            let probe = probe.map_or_else(ProcessProbe::new, Ok);
            probe.map(|mut probe| {
                let (seen, families) = look_at(&mut probe, wanted, &families, now);
                (probe, seen, families)
            })
        });
        match swept.await {
            Ok(Ok((probe, seen, families))) => {
                self.processes = Some(probe);
                self.families = families;
                seen
            }
            Ok(Err(error)) => {
                let blind = held.iter().filter(|held| held.key.kind == ResourceKind::Process);
                blind.map(|held| unknown(held, now, &format!("processes are not visible from here: {error}"))).collect()
            }
            Err(_) => {
                warn!("a sweep over the processes has panicked; the next one starts afresh");
                Vec::new()
            }
        }
    }

    async fn sweep_containers(&self, held: &[HeldOnHost], now: Timestamp) -> Vec<LastReport> {
        let wanted: Vec<&HeldOnHost> = held.iter().filter(|held| held.key.kind == ResourceKind::Container).collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        match self.containers.look_at_all().await {
            Ok(containers) => {
                let mut seen = Vec::with_capacity(wanted.len());
                for held in wanted {
                    seen.push(self.look_at_container(&containers, held, now).await);
                }
                seen
            }
            Err(reason) => wanted.into_iter().map(|held| unknown(held, now, &reason)).collect(),
        }
    }

    async fn look_at_container(&self, containers: &Containers, held: &HeldOnHost, now: Timestamp) -> LastReport {
        let known = self.known(held).as_ref().and_then(ContainerIdentity::from_json);
        let sight = containers.probe(&held.key.id, known.as_ref()).await;
        let detail: Option<Box<str>> = sight.detail.map(bounded);
        let identity = sight.identity.map(|identity| identity.to_json());
        let sighting = ReportedObservation {
            key: held.key.clone(),
            state: sight.state,
            at: now,
            detail: detail.clone(),
            identity,
            parent: None,
            abandoned: None,
        };
        LastReport { sighting, headline: detail }
    }
}

/// A process to probe.
struct Wanted {
    key: ResourceKey,
    pid: Pid,
    known: Option<ProcessIdentity>,
    /// The parent that the registry knows.
    parent: Option<FreeJson>,
    /// The parent that was reported.
    remembered: Option<FreeJson>,
    /// Why no process looks after it, as reported before: this stays true.
    abandoned: Option<Box<str>>,
}

/// The parentage of a process, for a report.
#[derive(Default)]
struct Parentage {
    parent: Option<FreeJson>,
    abandoned: Option<Box<str>>,
}

impl Parentage {
    /// The parentage of a wanted process that is alive, with the line `stat`.
    fn of(wanted: &Wanted, table: &ProcessTable, stat: &Stat, describe: &mut impl Describe) -> Parentage {
        let abandoned = wanted.abandoned.clone();
        let known = [&wanted.parent, &wanted.remembered];
        let Some(parent) = known.into_iter().flatten().find_map(Parent::from_json) else {
            let parent = Parent::at_first_sight(table, stat, describe).map(|parent| parent.to_json());
            return Parentage { parent, abandoned };
        };
        let abandoned = abandoned.or_else(|| parent.abandoned(table, stat, describe).map(bounded));
        Parentage { parent: wanted.remembered.clone().filter(|_| wanted.parent.is_none()), abandoned }
    }
}

type ProcessTrees = HashMap<ResourceKey, Vec<Descendant>>;

fn look_at(
    probe: &mut ProcessProbe,
    wanted: Vec<Wanted>,
    before: &ProcessTrees,
    now: Timestamp,
) -> (Vec<LastReport>, ProcessTrees) {
    let table = probe.look_at_all().unwrap_or_else(|error| {
        warn!(%error, "/proc cannot be listed; each process is probed by itself, without its children");
        ProcessTable::default()
    });
    let mut families = ProcessTrees::new();
    let mut seen = Vec::with_capacity(wanted.len());
    let mut describe = SweepDescriptions::default();
    for wanted in wanted {
        let pid = wanted.pid;
        let look = table.get(pid).map_or_else(|| probe.look(pid), |stat| ProcessProbeResult::There(*stat));
        let sight = probe.judge(pid, look, wanted.known.as_ref());
        let parentage = match look {
            ProcessProbeResult::There(stat) if sight.state == ObservedState::Alive => {
                Parentage::of(&wanted, &table, &stat, &mut describe.of(probe))
            }
            _ => Parentage::default(),
        };
        let family = match sight.state {
            ObservedState::Alive => family(&table, pid),
            // With its boot, the whole family has ended: what has their numbers now are strangers.
            ObservedState::Gone if !probe.is_of_this_boot(wanted.known.as_ref()) => Vec::new(),
            // The former family, as far as it still runs, and the rest of the session.
            ObservedState::Gone => {
                let mut left = before.get(&wanted.key).map(|family| table.still_running(family)).unwrap_or_default();
                left.extend(
                    table
                        .relatives(pid)
                        .into_iter()
                        .filter(|one| wanted.known.is_some() && !left.contains(one))
                        .collect::<Vec<_>>(),
                );
                left
            }
            _ => Vec::new(),
        };
        seen.push(described(&wanted.key, sight, parentage, &family, now));
        families.insert(wanted.key, family);
    }
    (seen, families)
}

/// The processes that belong to a running one.
fn family(table: &ProcessTable, pid: Pid) -> Vec<Descendant> {
    let mut family = table.relatives(pid);
    let groups = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
    let (Ok(its), Ok(ours)) = (groups(&pid.to_string()), groups("self")) else { return family };
    // A group that also holds the prober was not created for this process.
    if let Some(group) = control_group(&its).filter(|group| control_group(&ours) != Some(*group)) {
        let more = table.of_its_control_group(pid, Path::new(CONTROL_GROUPS), group);
        let more: Vec<Descendant> = more.into_iter().filter(|one| !family.contains(one)).collect();
        family.extend(more);
    }
    family
}

fn described(
    key: &ResourceKey,
    sight: ProcessVisibility,
    parentage: Parentage,
    family: &[Descendant],
    now: Timestamp,
) -> LastReport {
    let words = in_words(family);
    let join = |detail: Option<&str>, words: &str| match detail {
        Some(detail) => format!("{detail}; {words}"),
        None => words.to_owned(),
    };
    let (headline, detail) = match (sight.state, words) {
        (ObservedState::Gone, Some(words)) => {
            // Remaining processes are worth a report, and so is a change of them.
            let detail = join(sight.detail.as_deref(), &format!("its descendants still run, {words}"));
            (Some(detail.clone()), Some(detail))
        }
        (_, Some(words)) => {
            let detail = join(sight.detail.as_deref(), &format!("with {words}"));
            (sight.detail, Some(detail))
        }
        (_, None) => (sight.detail.clone(), sight.detail),
    };
    let identity = sight.identity.map(|identity| identity.to_json());
    let Parentage { parent, abandoned } = parentage;
    let (key, detail) = (key.clone(), detail.map(bounded));
    let sighting = ReportedObservation { key, state: sight.state, at: now, detail, identity, parent, abandoned };
    LastReport { sighting, headline: headline.map(bounded) }
}

fn unknown(held: &HeldOnHost, now: Timestamp, why: &str) -> LastReport {
    let detail = Some(bounded(why.to_owned()));
    let sighting = ReportedObservation {
        key: held.key.clone(),
        state: ObservedState::Unknown,
        at: now,
        detail: detail.clone(),
        identity: None,
        parent: None,
        abandoned: None,
    };
    LastReport { sighting, headline: detail }
}

fn bounded(detail: String) -> Box<str> {
    match detail.char_indices().nth(MAX_DETAIL) {
        Some((end, _)) => detail.get(..end).unwrap_or_default().into(),
        None => detail.into(),
    }
}
