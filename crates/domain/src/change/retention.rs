//! How long the journal keeps changes.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::revision::Revision;

/// How much of the journal compaction keeps: the newest `changes`, unless they are older than `days`.
///
/// Compaction never removes the newest change of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The number of changes.
    pub changes: u64,
    /// The maximum age, in whole days.
    pub days: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { changes: 100_000, days: 90 }
    }
}

impl Retention {
    /// The newest revision that exceeds the count.
    pub fn surplus(self, head: Revision) -> Revision {
        Revision(head.0.saturating_sub(self.changes))
    }

    /// The time before which changes exceed the age.
    pub fn oldest(self, now: Timestamp) -> Timestamp {
        now.saturating_sub(SignedDuration::from_hours(i64::from(self.days) * 24)).unwrap_or(Timestamp::MIN)
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}d", self.changes, self.days)
    }
}

impl FromStr for Retention {
    type Err = &'static str;

    /// Reads `COUNT,DAYSd`, for example `100000,90d`.
    fn from_str(text: &str) -> Result<Retention, Self::Err> {
        let read = || {
            let (changes, days) = text.split_once(',')?;
            let (changes, days) = (changes.trim().parse().ok()?, days.trim().strip_suffix('d')?.parse().ok()?);
            (changes > 0 && days > 0).then_some(Retention { changes, days })
        };
        read().ok_or("must be a number of changes and a number of days, as in `100000,90d`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_read_as_it_is_written() {
        assert_eq!("100000,90d".parse(), Ok(Retention::default()));
        assert_eq!(Retention { changes: 7, days: 1 }.to_string().parse(), Ok(Retention { changes: 7, days: 1 }));
        for wrong in ["", "100000", "0,90d", "1,0d", "1,90", "-1,90d", "1,90d,1"] {
            assert!(wrong.parse::<Retention>().is_err(), "{wrong}");
        }
    }
}
