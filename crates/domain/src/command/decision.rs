//! What a command comes to, before anything is changed.

use crate::change::Event;
use crate::plugin::UniqueId;

/// What a command comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The change to be made; `None` when everything stands already as the command wants it.
    pub event: Option<Event>,
    /// The plugin that the command is about.
    pub subject: Option<UniqueId>,
}
