//! Which process a process id means: the same number is given to another process one day.

use serde::{Deserialize, Serialize};

use domain::plugin::{FreeJson, Pid};

/// The inode of the pid namespace that a machine begins with (PROC_PID_INIT_INO in linux/proc_ns.h).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// What tells a process from every other that ever was: two processes are the same if and only if
/// all fields are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Of machine-id(5); empty where there is none.
    pub machine_id: Box<str>,
    /// /proc/sys/kernel/random/boot_id: made anew at every start of the kernel (random(4)).
    pub boot_id: Box<str>,
    /// The inode of the pid namespace in which `pid` is the number (pid_namespaces(7)).
    pub pid_namespace: u64,
    /// The number.
    pub pid: Pid,
    /// When it was started, in clock ticks since the start of the machine: field 22 of proc_pid_stat(5).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// As JSON, for an observation.
    pub fn to_json(&self) -> FreeJson {
        FreeJson::from(&serde_json::to_value(self).unwrap_or_default())
    }

    /// Of JSON that an observation has kept; `None` when it is none of ours.
    pub fn from_json(json: &FreeJson) -> Option<ProcessIdentity> {
        serde_json::from_str(json.as_str()).ok()
    }
}

/// Where the one who looks stands: what it calls a process id.
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
    /// Why a process that was seen elsewhere cannot be judged from here; `None` when it can.
    pub fn cannot_judge(&self, known: &ProcessIdentity) -> Option<&'static str> {
        if known.machine_id != self.machine_id {
            return Some("it was seen on another machine");
        }
        if known.boot_id != self.boot_id {
            // A copied machine id would make another machine look like this one after a restart.
            return Some("it was seen before this machine was started the last time");
        }
        (known.pid_namespace != self.pid_namespace).then_some("it was seen in another pid namespace")
    }

    /// Returns true if and only if the machine's own process ids are seen, and not those of a container.
    pub fn sees_the_machine(&self) -> bool {
        self.pid_namespace == INITIAL_PID_NAMESPACE
    }

    /// The identity of a process that is seen from here.
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
    fn an_identity_comes_back_as_it_was_sent() {
        let here = Standpoint { machine_id: "m".into(), boot_id: "b".into(), pid_namespace: 7 };
        let identity = here.identity(42, u64::MAX);
        assert_eq!(ProcessIdentity::from_json(&identity.to_json()), Some(identity));
        assert_eq!(ProcessIdentity::from_json(&FreeJson::empty_object()), None);
    }

    #[test]
    fn only_what_was_seen_from_the_same_standpoint_is_judged() {
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
