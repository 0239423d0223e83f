//! The result of a command that the writer has done.

use std::sync::Arc;

use super::answer::Answer;
use super::refusal::Refusal;
use crate::record::Record;
use crate::revision::Revision;
use crate::state::State;

/// A command that was done and is durable.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The newest revision directly after the command.
    pub revision: Revision,
    /// The state directly after a command that was not about a plugin. While a caller holds this snapshot, the writer
    /// copies what it changes; so a command about a plugin returns the record only.
    pub state: Option<State>,
    /// The plugin after the command; `None` if it was removed, or if the command was not about a plugin.
    pub record: Option<Arc<Record>>,
    /// Whether the command created the plugin.
    pub created: bool,
    /// For a command about many items: for each item the revision of its plugin after the command, or why it was refused.
    pub results: Vec<Result<Revision, Refusal>>,
    /// The stored response, if this request is a retry: then the writer did nothing.
    pub repeated: Option<Arc<Answer>>,
}

impl Outcome {
    /// Whether the command was about many items, and none of them was done. Like any refusal, it is decided anew when it is
    /// repeated.
    pub fn is_refused_whole(&self, is_of_many: bool) -> bool {
        is_of_many && self.results.iter().all(Result::is_err)
    }
}
