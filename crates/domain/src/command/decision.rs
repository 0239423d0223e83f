//! The result of `decide`, before the writer applies it.

use super::refusal::Refusal;
use crate::change::Event;
use crate::plugin::UniqueId;

/// The result of `decide`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The changes to apply, in this order; none if the state already is as the command requests.
    pub events: Vec<Event>,
    /// The plugin that the command is about.
    pub subject: Option<UniqueId>,
    /// For a command about many items: for each item the plugin that it changes, or why it is refused.
    pub results: Vec<Result<UniqueId, Refusal>>,
}

impl Decision {
    /// No change.
    pub fn nothing(subject: Option<UniqueId>) -> Decision {
        Decision { events: Vec::new(), subject, results: Vec::new() }
    }

    /// One change.
    pub fn one(event: Event, subject: Option<UniqueId>) -> Decision {
        Decision { events: vec![event], subject, results: Vec::new() }
    }
}
