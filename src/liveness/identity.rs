//! Tells a process from a later process with the same process id.

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
    /// Why this standpoint cannot judge a process that was seen from another; `None` if it can.
    pub fn cannot_judge(&self, known: &ProcessIdentity) -> Option<&'static str> {
        if known.machine_id != self.machine_id {
            return Some("it was last seen on another machine");
        }
        if known.boot_id != self.boot_id {
            // A copied machine id would make another machine look like this one after a restart.
            return Some("it was last seen before this machine booted");
        }
        (known.pid_namespace != self.pid_namespace).then_some("it was last seen in another pid namespace")
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
        assert_eq!(here.cannot_judge(&known), None);
        for other in [
            ProcessIdentity { machine_id: "x".into(), ..known.clone() },
            ProcessIdentity { boot_id: "x".into(), ..known.clone() },
            ProcessIdentity { pid_namespace: 8, ..known.clone() },
        ] {
            assert!(here.cannot_judge(&other).is_some(), "{other:?}");
        }
    }
}
