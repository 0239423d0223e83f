//! The processes that belong to a held one: its descendants, whichever process is their parent now.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use super::stat::Stat;
use domain::plugin::Pid;

/// How many processes a detail names; it only counts the others.
const NAMED: usize = 20;

/// All processes at one moment.
#[derive(Debug, Clone, Default)]
pub struct ProcessTable {
    processes: HashMap<Pid, Stat>,
    children: HashMap<Pid, Vec<Pid>>,
    sessions: HashMap<Pid, Vec<Pid>>,
}

/// A process that belongs to another. The start time tells it from later processes with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Descendant {
    /// The process id.
    pub pid: Pid,
    /// The start time, in clock ticks since boot.
    pub start_ticks: u64,
}

impl ProcessTable {
    /// Adds a process.
    pub fn insert(&mut self, pid: Pid, stat: Stat) {
        self.processes.insert(pid, stat);
        self.children.entry(stat.parent).or_default().push(pid);
        self.sessions.entry(stat.session).or_default().push(pid);
    }

    /// A process.
    pub fn get(&self, pid: Pid) -> Option<&Stat> {
        self.processes.get(&pid)
    }

    /// Returns true if and only if the process with this start time runs.
    pub fn is_running(&self, pid: Pid, start_ticks: u64) -> bool {
        self.running(pid) == Some(Descendant { pid, start_ticks })
    }

    /// The running processes that belong to `pid`: its descendants, and the members of the session that it
    /// leads. Sessions of other leaders do not count, or every plugin would own its login shell's session.
    ///
    /// `pid` may have ended: a session keeps its id as long as it has members (credentials(7)), so the
    /// processes that it left behind are found.
    pub fn relatives(&self, pid: Pid) -> Vec<Descendant> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![pid];
        if let Some(members) = self.sessions.get(&pid) {
            waiting.extend(members);
        }
        while let Some(next) = waiting.pop() {
            if next != pid && !found.insert(next) {
                continue;
            }
            // Process 0 is the kernel; orphans get a new parent, so a process may turn up twice.
            if let Some(children) = self.children.get(&next) {
                waiting.extend(children.iter().filter(|child| !found.contains(*child) && **child != pid));
            }
        }
        found.into_iter().filter_map(|pid| self.running(pid)).collect()
    }

    /// The running descendants of `pid`, nearest first.
    pub fn descendants(&self, pid: Pid) -> Vec<Descendant> {
        let mut found = vec![pid];
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            let children = self.children.get(parent).into_iter().flatten();
            let new: Vec<Pid> = children.copied().filter(|child| !found.contains(child)).collect();
            found.extend(new);
            next += 1;
        }
        found.into_iter().skip(1).filter_map(|pid| self.running(pid)).collect()
    }

    /// The processes of `once` that still run.
    pub fn still_running(&self, once: &[Descendant]) -> Vec<Descendant> {
        once.iter().copied().filter(|relative| self.running(relative.pid) == Some(*relative)).collect()
    }

    fn running(&self, pid: Pid) -> Option<Descendant> {
        let stat = self.get(pid).filter(|stat| !stat.has_ended())?;
        Some(Descendant { pid, start_ticks: stat.start_ticks })
    }

    /// The processes of a control group that started no earlier than `pid`. Empty if `pid` is not the
    /// oldest member, because the group was then created for another process.
    ///
    /// `groups` is the mount point of the control groups, normally /sys/fs/cgroup (cgroups(7)).
    pub fn of_its_control_group(&self, pid: Pid, groups: &Path, group: &str) -> Vec<Descendant> {
        let Some(began) = self.get(pid).map(|stat| stat.start_ticks) else { return Vec::new() };
        let Some(inside) = group.strip_prefix('/').filter(|inside| !inside.is_empty()) else { return Vec::new() };
        let Ok(members) = std::fs::read_to_string(groups.join(inside).join("cgroup.procs")) else {
            return Vec::new();
        };
        let members: Vec<Descendant> =
            members.lines().filter_map(|line| self.running(line.parse().ok()?)).filter(|one| one.pid != pid).collect();
        if members.iter().any(|one| one.start_ticks < began) { Vec::new() } else { members }
    }
}

/// The control group of a process in the unified hierarchy: its line in /proc/PID/cgroup (cgroups(7)).
pub fn control_group(lines: &str) -> Option<&str> {
    lines.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Lists processes for people: `3 more: 41, 42, 43`; `None` if there are none.
pub fn in_words(relatives: &[Descendant]) -> Option<String> {
    let first = relatives.first()?;
    let mut words = format!("{} more: {}", relatives.len(), first.pid);
    for relative in relatives.iter().take(NAMED).skip(1) {
        // Writing to a String cannot fail.
        let _written = write!(words, ", {}", relative.pid);
    }
    if relatives.len() > NAMED {
        words.push_str(" …");
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(processes: &[(Pid, Pid, Pid)]) -> ProcessTable {
        let mut table = ProcessTable::default();
        for &(pid, parent, session) in processes {
            let state = if pid == 99 { b'Z' } else { b'S' };
            table.insert(pid, Stat { state, parent, session, threads: 1, start_ticks: u64::from(pid) });
        }
        table
    }

    fn pids(relatives: &[Descendant]) -> Vec<Pid> {
        relatives.iter().map(|relative| relative.pid).collect()
    }

    #[test]
    fn relatives_are_descendants_and_members_of_the_led_session() {
        // 10 is a login shell. 20 is a plugin that leads a session and has a child and a grandchild. 23 has lost
        // its parent and stays in the session. 24 has left the session and is still a child.
        let table = table(&[
            (1, 0, 1),
            (10, 1, 10),
            (11, 10, 10),
            (20, 10, 20),
            (21, 20, 20),
            (22, 21, 20),
            (23, 1, 20),
            (24, 20, 24),
            (99, 20, 20),
        ]);
        assert_eq!(pids(&table.relatives(20)), [21, 22, 23, 24]);
        // 11 is in the shell's session but does not lead it: only its descendants count.
        assert_eq!(pids(&table.relatives(11)), [] as [Pid; 0]);
        assert_eq!(pids(&table.descendants(20)), [21, 24, 22]);
    }

    #[test]
    fn members_of_a_dead_leaders_session_are_found() {
        let table = table(&[(1, 0, 1), (21, 1, 20), (22, 21, 20), (30, 1, 30)]);
        assert_eq!(pids(&table.relatives(20)), [21, 22]);
    }

    #[test]
    fn a_reused_process_id_is_not_still_running() {
        let table = table(&[(21, 1, 20)]);
        let remembered = [Descendant { pid: 21, start_ticks: 21 }, Descendant { pid: 21, start_ticks: 5 }];
        assert_eq!(table.still_running(&remembered), remembered[..1]);
    }

    #[test]
    fn a_control_group_counts_only_if_the_process_is_its_oldest_member() {
        let groups = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(groups.path().join("plugin")).unwrap();
        std::fs::write(groups.path().join("plugin/cgroup.procs"), "20\n23\n4000\n").unwrap();
        let table = table(&[(20, 1, 20), (23, 1, 23), (30, 1, 30)]);
        assert_eq!(pids(&table.of_its_control_group(20, groups.path(), "/plugin")), [23]);
        // 23 joined a group that is older.
        assert_eq!(table.of_its_control_group(23, groups.path(), "/plugin"), []);
        assert_eq!(table.of_its_control_group(20, groups.path(), "/"), []);
        assert_eq!(table.of_its_control_group(20, groups.path(), "/none"), []);
        assert_eq!(control_group("9:name=systemd:/a\n0::/b/c\n"), Some("/b/c"));
    }

    #[test]
    fn only_the_first_20_processes_are_named() {
        let many: Vec<Descendant> = (1..=25).map(|pid| Descendant { pid, start_ticks: 1 }).collect();
        let words = in_words(&many).unwrap();
        assert!(words.starts_with("25 more: 1, 2,") && words.ends_with("20 …"), "{words}");
        assert_eq!(in_words(&many[..2]).as_deref(), Some("2 more: 1, 2"));
        assert_eq!(in_words(&[]), None);
    }
}
