//! The status of a remote resource: what a provider's word means for its cost.
//!
//! Each provider has its own words, in its own spelling. This file has the only list of words with a known meaning. A
//! resource with any other word may bill.

use crate::wire_names;

wire_names! {
    /// The class of a remote resource's status.
    StatusClass {
        /// It is being started: it bills.
        Starting = "starting",
        /// It runs: it bills.
        Running = "running",
        /// It is being stopped: it bills.
        Stopping = "stopping",
        /// It is over or off: it does not bill.
        Off = "off",
        /// The word has no known meaning: it may bill.
        Unknown = "unknown",
    }
}

/// Every word with a known meaning, by class. Case, blanks, `-` and `_` do not matter.
pub const STATUS_WORDS: &[(StatusClass, &[&str])] = &[
    (
        StatusClass::Starting,
        &[
            "provisioning",
            "pending",
            "starting",
            "starting up",
            "booting",
            "loading",
            "initializing",
            "initialising",
            "staging",
            "creating",
            "launching",
        ],
    ),
    (StatusClass::Running, &["running", "active", "up", "ready", "in service"]),
    (StatusClass::Stopping, &["stopping", "terminating", "shutting down", "deleting", "destroying", "deallocating"]),
    (
        StatusClass::Off,
        &[
            "stopped",
            "terminated",
            "deleted",
            "destroyed",
            "released",
            "exited",
            "completed",
            "succeeded",
            "finished",
            "done",
            "cancelled",
            "canceled",
            "expired",
            "evicted",
            "preempted",
            "deallocated",
            "off",
            "not found",
            "gone",
            "none",
        ],
    ),
];

impl StatusClass {
    /// The class of a status.
    pub fn of(status: &str) -> StatusClass {
        let classes = STATUS_WORDS.iter();
        let mut known = classes.filter(|(_, words)| words.iter().any(|word| is_same(word, status)));
        known.next().map_or(StatusClass::Unknown, |(class, _)| *class)
    }

    /// Whether a resource of this class certainly bills.
    pub fn surely_bills(self) -> bool {
        matches!(self, StatusClass::Starting | StatusClass::Running | StatusClass::Stopping)
    }
}

/// Compares two words without case, blanks, `-` and `_`.
fn is_same(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    let is_letter = |letter: &char| !letter.is_whitespace() && !matches!(letter, '-' | '_');
    text.chars().filter(is_letter).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_providers_have_their_class_in_any_spelling() {
        for (status, class) in [
            ("RUNNING", StatusClass::Running),
            ("InService", StatusClass::Running),
            ("in-service", StatusClass::Running),
            ("booting", StatusClass::Starting),
            ("shutting_down", StatusClass::Stopping),
            ("Shutting Down", StatusClass::Stopping),
            ("NotFound", StatusClass::Off),
            ("TERMINATED", StatusClass::Off),
            ("unknown", StatusClass::Unknown),
            ("failed", StatusClass::Unknown),
            ("", StatusClass::Unknown),
            ("running?", StatusClass::Unknown),
        ] {
            assert_eq!(StatusClass::of(status), class, "{status}");
        }
    }

    #[test]
    fn no_word_is_in_two_classes() {
        for (class, words) in STATUS_WORDS {
            for word in *words {
                assert_eq!(StatusClass::of(word), *class, "{word}");
            }
        }
    }
}
