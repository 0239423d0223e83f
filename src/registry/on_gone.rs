//! The policy for resources that were seen gone.

use std::fmt;
use std::str::FromStr;

/// The policy for resources that were seen gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnGone {
    /// The resource stays, marked as a ghost, until a client releases it.
    #[default]
    Mark,
    /// The registry releases the resource when it becomes a ghost.
    Prune,
}

impl fmt::Display for OnGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnGone::Mark => "mark",
            OnGone::Prune => "prune",
        })
    }
}

impl FromStr for OnGone {
    type Err = String;

    fn from_str(text: &str) -> Result<OnGone, String> {
        match text {
            "mark" => Ok(OnGone::Mark),
            "prune" => Ok(OnGone::Prune),
            _ => Err("must be `mark` or `prune`".into()),
        }
    }
}
