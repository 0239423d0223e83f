//! Tells a process from a later process with the same process id.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use domain::plugin::{FreeJson, Pid};

/// The inode of a machine's initial pid namespace (PROC_PID_INIT_INO in linux/proc_ns.h).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The identity of a process. Two processes are the same if and only if all fields are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The machine id (machine-id(5)); empty on a machine without one.
    pub machine_id: Box<str>,
    /// /proc/sys/kernel/random/boot_id, which changes at every boot (random(4)).
    pub boot_id: Box<str>,
    /// The inode of the pid namespace to which `pid` belongs (pid_namespaces(7)).
    pub pid_namespace: u64,
    /// The process id.
    pub pid: Pid,
    /// The start time in clock ticks since boot: field 22 of proc_pid_stat(5).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// As the JSON of an observation.
    pub fn to_json(&self) -> FreeJson {
        FreeJson::from(&serde_json::to_value(self).unwrap_or_default())
    }

    /// From the JSON of an observation; `None` if it is not a process identity.
    pub fn from_json(json: &FreeJson) -> Option<ProcessIdentity> {
        serde_json::from_str(json.as_str()).ok()
    }
}

/// How long this boot must last before the processes of an earlier one are gone for certain. Within that time, another
/// machine with a copied machine id may still report its processes.
pub const SETTLED_BOOT: Duration = Duration::from_mins(10);

/// What a probe can say about a process before it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgeable {
    /// What the probe sees decides.
    Here,
    /// The process ended with an earlier boot of this machine.
    EndedWithItsBoot,
    /// The probe cannot tell, for this reason.
    Unknown(&'static str),
}

/// Where a probe runs, which decides what a process id means to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standpoint {
    /// As in [`ProcessIdentity`].
    pub machine_id: Box<str>,
    /// As in [`ProcessIdentity`].
    pub boot_id: Box<str>,
    /// As in [`ProcessIdentity`].
    pub pid_namespace: u64,
}

impl Standpoint {
    /// Whether this standpoint can judge a process that was seen from another, `up` after the machine has booted.
    pub fn judges(&self, known: &ProcessIdentity, up: Option<Duration>) -> Judgeable {
        if known.machine_id != self.machine_id {
            return Judgeable::Unknown("it was last seen on another machine");
        }
        if known.boot_id != self.boot_id {
            // Without a machine id, every machine would look like this one.
            return if !self.machine_id.is_empty() && up.is_some_and(|up| up >= SETTLED_BOOT) {
                Judgeable::EndedWithItsBoot
            } else {
                Judgeable::Unknown("it was last seen before this machine booted")
            };
        }
        if known.pid_namespace != self.pid_namespace {
            return Judgeable::Unknown("it was last seen in another pid namespace");
        }
        Judgeable::Here
    }

    /// Returns true if and only if this process is in the machine's initial pid namespace, not in a container's.
    pub fn sees_the_machine(&self) -> bool {
        self.pid_namespace == INITIAL_PID_NAMESPACE
    }

    /// The identity of a process that is visible from here.
    pub fn identity(&self, pid: Pid, start_ticks: u64) -> ProcessIdentity {
        ProcessIdentity {
            machine_id: self.machine_id.clone(),
            boot_id: self.boot_id.clone(),
            pid_namespace: self.pid_namespace,
            pid,
            start_ticks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_a_round_trip_through_json() {
        let here = Standpoint { machine_id: "m".into(), boot_id: "b".into(), pid_namespace: 7 };
        let identity = here.identity(42, u64::MAX);
        assert_eq!(ProcessIdentity::from_json(&identity.to_json()), Some(identity));
        assert_eq!(ProcessIdentity::from_json(&FreeJson::empty_object()), None);
    }

    #[test]
    fn only_identities_from_the_same_standpoint_are_judged() {
        let here = Standpoint { machine_id: "m".into(), boot_id: "b".into(), pid_namespace: 7 };
        let known = here.identity(1, 2);
        let up = Some(Duration::from_secs(599));
        assert_eq!(here.judges(&known, up), Judgeable::Here);
        for other in [
            ProcessIdentity { machine_id: "x".into(), ..known.clone() },
            ProcessIdentity { boot_id: "x".into(), ..known.clone() },
            ProcessIdentity { pid_namespace: 8, ..known.clone() },
        ] {
            assert!(matches!(here.judges(&other, up), Judgeable::Unknown(_)), "{other:?}");
        }
    }

    #[test]
    fn a_process_of_an_earlier_boot_was_unknown_for_ever() {
        let here = Standpoint { machine_id: "m".into(), boot_id: "b".into(), pid_namespace: 7 };
        let earlier = ProcessIdentity { boot_id: "a".into(), pid_namespace: 8, ..here.identity(1, 2) };
        assert_eq!(here.judges(&earlier, Some(Duration::from_mins(10))), Judgeable::EndedWithItsBoot);
        for up in [None, Some(Duration::from_secs(599))] {
            assert!(matches!(here.judges(&earlier, up), Judgeable::Unknown(_)), "{up:?}");
        }
        // Every machine without a machine id looks like this one.
        let unnamed = Standpoint { machine_id: "".into(), ..here };
        let earlier = ProcessIdentity { machine_id: "".into(), ..earlier };
        assert!(matches!(unnamed.judges(&earlier, Some(Duration::from_hours(1))), Judgeable::Unknown(_)));
    }
}
