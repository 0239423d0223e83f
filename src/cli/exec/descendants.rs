//! The descendants of a process, with their process ids in this pid namespace.
//!
//! /proc may belong to an outer pid namespace, because `unshare --pid` mounts no new one. Then its process ids differ
//! from those that kill(2) takes here. The line `NSpid` of /proc/PID/status has both (proc_pid_status(5)).

use std::fs;

use crate::liveness::process::ProcessProbe;
use crate::liveness::process_tree::ProcessTable;
use crate::liveness::stat::Stat;
use domain::plugin::Pid;

/// A descendant. Its start time distinguishes it from later processes with the same process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Descendant {
    /// Its process id in this pid namespace, for signals.
    pub pid: Pid,
    /// Its process id in /proc, for the registry: an agent with the same /proc finds it by this one.
    pub shown: Pid,
    start_ticks: u64,
}

/// Finds descendants.
#[derive(Debug)]
pub struct Descendants(Source);

#[derive(Debug)]
enum Source {
    /// /proc belongs to this pid namespace.
    Own(ProcessProbe),
    /// /proc belongs to an outer namespace. The process ids of this namespace start at this column of `NSpid`.
    Outer { column: usize },
    /// There is no /proc.
    Nowhere,
}

impl Descendants {
    /// Finds out which /proc is mounted.
    pub fn open() -> Descendants {
        Descendants(match (ProcessProbe::new(), numbers("self")) {
            (Ok(probe), _) => Source::Own(probe),
            (Err(_), Some(numbers)) => Source::Outer { column: numbers.len().saturating_sub(1) },
            (Err(_), None) => Source::Nowhere,
        })
    }

    /// Returns true if and only if there is no /proc, so descendants cannot be found.
    pub fn are_hidden(&self) -> bool {
        matches!(self.0, Source::Nowhere)
    }

    /// The running descendants of this process.
    pub fn of_this_process(&mut self) -> Vec<Descendant> {
        self.of(std::process::id()).unwrap_or_default()
    }

    /// The running descendants of a process, nearest first; `None` if /proc cannot be read.
    pub fn of(&mut self, ancestor: Pid) -> Option<Vec<Descendant>> {
        match &mut self.0 {
            Source::Own(probe) => {
                let found = probe.look_at_all().ok()?.descendants(ancestor);
                let as_shown = |one: crate::liveness::process_tree::Descendant| Descendant {
                    pid: one.pid,
                    shown: one.pid,
                    start_ticks: one.start_ticks,
                };
                Some(found.into_iter().map(as_shown).collect())
            }
            Source::Outer { column } => of_outer(ancestor, *column),
            Source::Nowhere => None,
        }
    }
}

/// Finds `ancestor` by its process id in a column of `NSpid`, and returns its descendants that have one there.
fn of_outer(ancestor: Pid, column: usize) -> Option<Vec<Descendant>> {
    let mut table = ProcessTable::default();
    let mut root = None;
    for entry in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Some(shown) = entry.file_name().to_str().and_then(|name| name.parse::<Pid>().ok()) else { continue };
        let Some(stat) = fs::read(entry.path().join("stat")).ok().and_then(|line| Stat::parse(&line)) else { continue };
        table.insert(shown, stat);
        if numbers(&shown.to_string()).is_some_and(|numbers| is_here(&numbers, column, ancestor)) {
            root = Some(shown);
        }
    }
    let found = table.descendants(root?).into_iter().filter_map(|one| {
        let pid = *numbers(&one.pid.to_string())?.get(column)?;
        Some(Descendant { pid, shown: one.pid, start_ticks: one.start_ticks })
    });
    Some(found.collect())
}

/// Returns true if and only if the process with these ids has the id `pid` in this namespace. Another namespace may use
/// the same id, so this compares the namespaces.
fn is_here(numbers: &[Pid], column: usize, pid: Pid) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let shown = numbers.first().map(Pid::to_string).unwrap_or_default();
    numbers.get(column) == Some(&pid) && numbers.len() == column + 1 && namespace(&shown) == namespace("self")
}

/// The process ids of a process in the pid namespace of /proc and in the namespaces within.
fn numbers(process: &str) -> Option<Vec<Pid>> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(line.split_whitespace().filter_map(|number| number.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_proc_shows_the_same_descendants() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        // Here both process ids are the same: the first column.
        let outer = of_outer(std::process::id(), 0).unwrap();
        assert!(outer.iter().any(|one| one.pid == child.id() && one.shown == child.id()), "{outer:?}");
        assert!(Descendants::open().of_this_process().iter().any(|one| one.pid == child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
