//! What somebody has seen of a held resource, beside what its plugin claims.
//!
//! Pure vocabulary: who looks, and how, is for the probes to say; what follows from it, for the rules.

use std::fmt;

use jiff::Timestamp;

pub use super::resources::ResourceKind;
use crate::plugin::wire_names::wire_names;
use crate::plugin::{FreeJson, UniqueId};

/// Which held thing: as the plugin that holds it names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// Whose it is.
    pub plugin: UniqueId,
    /// What it is.
    pub kind: ResourceKind,
    /// The process id, the container id as the plugin has said it, or of a remote resource the first that it has
    /// of instance id, job id, endpoint and SSH host.
    pub id: Box<str>,
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.kind.as_str(), self.id, self.plugin)
    }
}

wire_names! {
    /// What was seen.
    ObservedState {
        /// It is there, and it is the one that was seen first.
        Alive = "alive",
        /// It is not there any more.
        Gone = "gone",
        /// Something else has its name: another process has its number.
        Reused = "reused",
        /// Nobody answers where it should be; it may be there all the same.
        Unreachable = "unreachable",
        /// Nothing can be said: it is not visible, not permitted, or nobody has looked for too long.
        Unknown = "unknown",
    }
}

/// One look at one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// At what.
    pub key: ResourceKey,
    /// What was seen.
    pub state: ObservedState,
    /// When.
    pub at: Timestamp,
    /// What there is to say about it, for people.
    pub detail: Option<Box<str>>,
    /// What tells it from a stranger of the same name; a JSON object whose content is the probe's own.
    pub identity: Option<FreeJson>,
}
