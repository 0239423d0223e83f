//! What becomes of a resource that was seen gone.

use std::fmt;
use std::str::FromStr;

/// What becomes of a resource that was seen to be gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnGone {
    /// It stays, marked as a ghost, until somebody releases it.
    #[default]
    Mark,
    /// It is released once it has been found to be a ghost.
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
