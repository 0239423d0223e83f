//! What a command has done.

use std::sync::Arc;

use super::answer::Answer;
use crate::record::Record;
use crate::revision::Revision;
use crate::state::State;

/// A command that was done, and is durable.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The newest revision right after the command.
    pub revision: Revision,
    /// The whole state right after a command that was not about a plugin. As long as it is kept, whatever is changed
    /// is copied first; a plugin is all there is to see of a command about it.
    pub state: Option<State>,
    /// The plugin after the command; `None` when it was removed, or the command was not about one.
    pub record: Option<Arc<Record>>,
    /// Whether the command made a plugin that was not there.
    pub created: bool,
    /// The answer to the first attempt, when this is another one: nothing was done now.
    pub repeated: Option<Arc<Answer>>,
}
