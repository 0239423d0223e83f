//! The result of `decide`, before the writer applies it.

use crate::change::Event;
use crate::plugin::UniqueId;

/// The result of `decide`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The change to apply; `None` if the state already is as the command requests.
    pub event: Option<Event>,
    /// The plugin that the command is about.
    pub subject: Option<UniqueId>,
}
