//! The parent of a process, and whether the process still has it: a process that was handed to init has lost its
//! application.
//!
//! At the first look the probe takes the parent and the ancestors. Later looks compare. Only the kernel changes the
//! parent of a process, when the parent ends. It hands the process to the nearest living ancestor that is a subreaper,
//! or else to the init of its pid namespace (PR_SET_CHILD_SUBREAPER in prctl(2)).
//!
//! The end of a parent means nothing if the parent is an *adopter*, which gets the orphans of others: the process may
//! have been handed to it before the first look. Nor does it mean anything if a process got the orphan that was an
//! ancestor at the first look and is no adopter: an application that is its own subreaper, and still runs.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::process::ProcessProbe;
use super::process_description::Description;
use super::process_tree::ProcessTable;
use super::stat::Stat;
use domain::plugin::{FreeJson, Pid};

/// The most ancestors that the first look takes. Further ones are those of the session and the machine.
const MOST_ANCESTORS: usize = 32;

/// A process. The start time tells it from a later one with the same process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// The process id.
    pub pid: Pid,
    /// The start time in clock ticks since boot.
    pub start_ticks: u64,
}

/// The parent of a process at the first look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The process id.
    pub pid: Pid,
    /// The start time in clock ticks since boot.
    pub start_ticks: u64,
    /// The program, and its arguments up to the first option, which may be secret.
    pub command: String,
    /// Whether the process gets the orphans of others.
    pub is_adopter: bool,
    /// The ancestors of the parent, nearest first.
    pub ancestors: Vec<Process>,
}

/// Describes processes, each one once.
pub trait Describe {
    /// The description of the process; `None` if it has ended or is hidden.
    fn describe(&mut self, process: Process) -> Option<Description>;
}

/// The descriptions of one sweep: thousands of processes have few parents.
#[derive(Debug, Default)]
pub struct SweepDescriptions(HashMap<Process, Option<Description>>);

impl SweepDescriptions {
    /// The descriptions; `probe` reads what is missing.
    pub fn of<'a>(&'a mut self, probe: &'a mut ProcessProbe) -> impl Describe + 'a {
        Describing { read: &mut self.0, probe }
    }
}

struct Describing<'a> {
    read: &'a mut HashMap<Process, Option<Description>>,
    probe: &'a mut ProcessProbe,
}

impl Describe for Describing<'_> {
    fn describe(&mut self, process: Process) -> Option<Description> {
        let Process { pid, start_ticks } = process;
        self.read.entry(process).or_insert_with(|| self.probe.describe(pid, start_ticks)).clone()
    }
}

impl Parent {
    /// As the JSON of an observation.
    pub fn to_json(&self) -> FreeJson {
        FreeJson::from(&serde_json::to_value(self).unwrap_or_default())
    }

    /// From the JSON of an observation; `None` if it is not a parent.
    pub fn from_json(json: &FreeJson) -> Option<Parent> {
        serde_json::from_str(json.as_str()).ok()
    }

    /// The parent of the process with the line `stat`; `None` if it is not visible, or in another pid namespace.
    pub fn at_first_sight(table: &ProcessTable, stat: &Stat, describe: &mut impl Describe) -> Option<Parent> {
        let parent = process(table, stat.parent)?;
        let described = describe.describe(parent)?;
        let mut ancestors = Vec::new();
        let mut next = table.get(parent.pid)?.parent;
        while ancestors.len() < MOST_ANCESTORS
            && let Some(ancestor) = process(table, next)
        {
            ancestors.push(ancestor);
            next = table.get(ancestor.pid)?.parent;
        }
        let Process { pid, start_ticks } = parent;
        let is_adopter = described.is_adopter();
        Some(Parent { pid, start_ticks, command: described.command, is_adopter, ancestors })
    }

    /// Why no process looks after the process with the line `stat`, in words; `None` if its parent still runs, or if
    /// nothing can be told.
    pub fn abandoned(&self, table: &ProcessTable, stat: &Stat, describe: &mut impl Describe) -> Option<String> {
        // A table is read process by process: the parent may have ended in between, and may be hidden by hidepid.
        let is_child = stat.parent == self.pid || table.is_running(self.pid, self.start_ticks);
        if self.is_adopter || is_child {
            return None;
        }
        let now = process(table, stat.parent)?;
        let adopter = describe.describe(now)?;
        if self.ancestors.contains(&now) && !adopter.is_adopter() {
            return None;
        }
        Some(format!(
            "its parent {} `{}` has ended; it was handed to process {} `{}`",
            self.pid, self.command, now.pid, adopter.name
        ))
    }
}

/// A process of the table. Process 0 stands for a parent in another pid namespace.
fn process(table: &ProcessTable, pid: Pid) -> Option<Process> {
    Some(Process { pid, start_ticks: table.get(pid)?.start_ticks })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A machine: init 1, a user manager 5, a shell 10, an application 20 with its worker 30, a container's init 40.
    struct Machine(ProcessTable);

    fn stat(parent: Pid, start_ticks: u64) -> Stat {
        Stat { state: b'S', parent, session: 1, threads: 1, start_ticks }
    }

    fn machine(processes: &[(Pid, Pid)]) -> Machine {
        let mut table = ProcessTable::default();
        for &(pid, parent) in processes {
            table.insert(pid, stat(parent, u64::from(pid) * 10));
        }
        Machine(table)
    }

    impl Describe for Machine {
        fn describe(&mut self, process: Process) -> Option<Description> {
            let name = match process.pid {
                1 => "init",
                5 => "systemd",
                10 => "bash",
                20 => "python",
                40 => "app",
                _ => "other",
            };
            let command = if name == "python" { "python app.py" } else { name }.to_owned();
            Some(Description { command, name: name.to_owned(), is_init: matches!(process.pid, 1 | 40) })
        }
    }

    /// What a look at process 30 says after it was first seen as a child of `first`, and is a child of `now`.
    fn look(before: &[(Pid, Pid)], after: &[(Pid, Pid)]) -> Option<String> {
        let (mut before, mut after) = (machine(before), machine(after));
        let line = |machine: &Machine| *machine.0.get(30).unwrap();
        let table = before.0.clone();
        let parent = Parent::at_first_sight(&table, &line(&before), &mut before)?;
        assert_eq!(Parent::from_json(&parent.to_json()), Some(parent.clone()));
        let (table, line) = (after.0.clone(), line(&after));
        parent.abandoned(&table, &line, &mut after)
    }

    #[rstest]
    #[case::handed_to_init(&[(1, 0), (5, 1), (10, 5), (20, 10), (30, 20)], &[(1, 0), (30, 1)], "process 1 `init`")]
    #[case::handed_to_the_user_manager(&[(1, 0), (5, 1), (10, 5), (20, 10), (30, 20)], &[(1, 0), (5, 1), (10, 5), (30, 5)], "process 5 `systemd`")]
    #[case::handed_to_the_init_of_a_container(&[(1, 0), (40, 1), (20, 40), (30, 20)], &[(1, 0), (40, 1), (30, 40)], "process 40 `app`")]
    #[case::handed_to_a_process_that_was_no_ancestor(&[(1, 0), (20, 1), (30, 20)], &[(1, 0), (60, 1), (30, 60)], "process 60 `other`")]
    fn a_process_whose_parent_has_ended_is_abandoned(
        #[case] before: &[(Pid, Pid)],
        #[case] after: &[(Pid, Pid)],
        #[case] adopter: &str,
    ) {
        let evidence = look(before, after).unwrap();
        assert_eq!(evidence, format!("its parent 20 `python app.py` has ended; it was handed to {adopter}"));
    }

    #[rstest]
    #[case::its_parent_runs(&[(1, 0), (20, 1), (30, 20)], &[(1, 0), (20, 1), (30, 20)])]
    #[case::a_child_of_init_at_first_sight(&[(1, 0), (30, 1)], &[(1, 0), (30, 1)])]
    #[case::the_user_manager_ends(&[(1, 0), (5, 1), (30, 5)], &[(1, 0), (30, 1)])]
    #[case::the_init_of_a_container_ends(&[(1, 0), (40, 1), (30, 40)], &[(1, 0), (30, 1)])]
    #[case::an_application_is_its_own_subreaper(&[(1, 0), (20, 1), (25, 20), (30, 25)], &[(1, 0), (20, 1), (30, 20)])]
    #[case::its_parent_is_in_another_namespace(&[(1, 0), (30, 0)], &[(1, 0), (30, 1)])]
    #[case::its_new_parent_is_in_another_namespace(&[(1, 0), (20, 1), (30, 20)], &[(1, 0), (30, 0)])]
    #[case::its_new_parent_is_hidden(&[(1, 0), (20, 1), (30, 20)], &[(1, 0), (30, 70)])]
    fn a_process_is_not_abandoned(#[case] before: &[(Pid, Pid)], #[case] after: &[(Pid, Pid)]) {
        assert_eq!(look(before, after), None);
    }

    #[test]
    fn a_parent_whose_process_id_was_reused_has_ended() {
        let before = machine(&[(1, 0), (20, 1), (30, 20)]);
        let parent = Parent::at_first_sight(&before.0.clone(), before.0.get(30).unwrap(), &mut machine(&[])).unwrap();
        let mut after = machine(&[(1, 0), (30, 1)]);
        after.0.insert(20, stat(1, 999));
        let line = *after.0.get(30).unwrap();
        assert!(parent.abandoned(&after.0.clone(), &line, &mut after).is_some());
    }
}
