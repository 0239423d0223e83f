//! The descendants of a process, with the numbers that they have in this pid namespace.
//!
//! /proc may be that of an outer pid namespace: `unshare --pid` mounts no new one. Its numbers are then others than those
//! that kill(2) takes here; the line `NSpid` of /proc/PID/status has both (proc_pid_status(5)).

use std::fs;

use crate::liveness::process::ProcessProbe;
use crate::liveness::process_tree::ProcessTable;
use crate::liveness::stat::Stat;
use domain::plugin::Pid;

/// A descendant, told from every later process with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Descendant {
    /// Its number in this pid namespace, for signals.
    pub pid: Pid,
    /// Its number in /proc, for the registry: an agent that looks from the same /proc finds it by this one.
    pub shown: Pid,
    start_ticks: u64,
}

/// Looks for descendants.
#[derive(Debug)]
pub struct Descendants(Source);

#[derive(Debug)]
enum Source {
    /// /proc is that of this pid namespace.
    Own(ProcessProbe),
    /// /proc is that of an outer one, in which the numbers of a process stand from this column on.
    Outer { column: usize },
    /// There is no /proc.
    Nowhere,
}

impl Descendants {
    /// Looks where there is something to see.
    pub fn open() -> Descendants {
        Descendants(match (ProcessProbe::new(), numbers("self")) {
            (Ok(probe), _) => Source::Own(probe),
            (Err(_), Some(numbers)) => Source::Outer { column: numbers.len().saturating_sub(1) },
            (Err(_), None) => Source::Nowhere,
        })
    }

    /// Returns true if and only if there is no /proc, so that no descendant can be found.
    pub fn are_hidden(&self) -> bool {
        matches!(self.0, Source::Nowhere)
    }

    /// The descendants of this process that run.
    pub fn of_this_process(&mut self) -> Vec<Descendant> {
        self.of(std::process::id()).unwrap_or_default()
    }

    /// The descendants of a process that run, nearest first; `None` when that cannot be seen.
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

/// All that is known by a number in this pid namespace, which is in a column of `NSpid`.
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

/// Returns true if and only if a process with these numbers has this one here. Another namespace may have given the same:
/// what decides is whether the process is in the namespace of this one.
fn is_here(numbers: &[Pid], column: usize, pid: Pid) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let shown = numbers.first().map(Pid::to_string).unwrap_or_default();
    numbers.get(column) == Some(&pid) && numbers.len() == column + 1 && namespace(&shown) == namespace("self")
}

/// The numbers of a process in the pid namespace of /proc and in those within.
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
        // Here both numbers are the same: the column is the first.
        let outer = of_outer(std::process::id(), 0).unwrap();
        assert!(outer.iter().any(|one| one.pid == child.id() && one.shown == child.id()), "{outer:?}");
        assert!(Descendants::open().of_this_process().iter().any(|one| one.pid == child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
