//! Process ids, as a set in order of first mention.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::{Invalid, integer};
use bounded_schema::kind_of;

/// A process id: 1 to 4294967295.
///
/// Linux allows at most 4194304 (proc_pid_max in proc_sys_kernel(5)); Windows uses the full 32 bits.
pub type Pid = u32;

/// The maximum number of process ids of one plugin.
///
/// Each id has an index entry, which every change of the plugin updates.
pub const MAX_PIDS: usize = 10_000;

/// Process ids without repetition, in the order of first mention. Two values are equal if they are the same set.
#[derive(Debug, Clone, Default, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Pid>", into = "Vec<Pid>")]
pub struct Pids(Box<[Pid]>);

impl Pids {
    /// Reads an array of process ids.
    ///
    /// # Errors
    ///
    /// Every element that is not a process id.
    pub fn read(value: Value, pointer: &str) -> Result<Pids, Invalid> {
        let Value::Array(items) = value else {
            return Err(Invalid::at(pointer, format!("must be an array of process ids, not {}", kind_of(&value))));
        };
        if items.len() > MAX_PIDS {
            return Err(Invalid::at(pointer, format!("must have at most {MAX_PIDS} process ids")));
        }
        let mut pids = Vec::with_capacity(items.len());
        let mut errors = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match integer(item, &format!("{pointer}/{index}"), 1, Pid::MAX) {
                Ok(pid) => pids.push(pid),
                Err(Invalid(wrong)) => errors.extend(wrong),
            }
        }
        if errors.is_empty() { Ok(Pids::from(pids)) } else { Err(Invalid(errors)) }
    }

    /// These ids, followed by those of `more` that are new.
    #[must_use]
    pub fn with(&self, more: &Pids) -> Pids {
        self.iter().chain(more.iter()).collect::<Vec<_>>().into()
    }

    /// These ids without `pid`.
    #[must_use]
    pub fn without(&self, pid: Pid) -> Pids {
        Pids(self.iter().filter(|each| *each != pid).collect())
    }

    /// Returns true if and only if the set contains `pid`.
    pub fn contains(&self, pid: Pid) -> bool {
        self.0.contains(&pid)
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if and only if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids in order of first mention.
    pub fn iter(&self) -> impl Iterator<Item = Pid> + '_ {
        self.0.iter().copied()
    }
}

impl PartialEq for Pids {
    fn eq(&self, other: &Pids) -> bool {
        let sorted = |pids: &Pids| {
            let mut pids = pids.0.clone();
            pids.sort_unstable();
            pids
        };
        self.0 == other.0 || (self.len() == other.len() && sorted(self) == sorted(other))
    }
}

impl From<Vec<Pid>> for Pids {
    fn from(pids: Vec<Pid>) -> Pids {
        Pids(pids.into_iter().collect::<indexmap::IndexSet<_>>().into_iter().collect())
    }
}

impl From<Pids> for Vec<Pid> {
    fn from(pids: Pids) -> Vec<Pid> {
        pids.0.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_first_mention_is_kept() {
        let pids = Pids::read(json!([3, 1, 3, 2, 1]), "").unwrap();
        assert_eq!(Vec::from(pids.clone()), [3, 1, 2]);
        assert_eq!(Vec::from(pids.with(&Pids::from(vec![9, 1]))), [3, 1, 2, 9]);
        assert_eq!(Vec::from(pids.without(1)), [3, 2]);
    }

    #[test]
    fn the_order_makes_no_other_set() {
        let pids = |pids: &[Pid]| Pids::from(pids.to_vec());
        assert_eq!(pids(&[3, 1, 2]), pids(&[1, 2, 3]));
        assert_ne!(pids(&[1, 2]), pids(&[1, 3]));
        assert_ne!(pids(&[1, 2]), pids(&[1, 2, 3]));
    }

    #[test]
    fn each_wrong_pid_is_pointed_at() {
        let Invalid(errors) = Pids::read(json!([1, 0, "12", -1, 4_294_967_296_u64]), "/spawned_pids").unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/spawned_pids/1", "/spawned_pids/2", "/spawned_pids/3", "/spawned_pids/4"]);
    }
}
