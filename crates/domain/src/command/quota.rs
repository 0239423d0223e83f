//! How much a registry may hold. Pure.
//!
//! What a change would lead to is compared with what may be, before it is made. A registry that holds more already
//! (a setting was lowered, a store was imported) goes on, and takes what does not make it grow. What was seen, found or
//! released is always taken: it must not be lost because somebody else has registered too much.

use std::sync::Arc;

use super::refusal::Refusal;
use crate::change::{Event, Step};
use crate::plugin::{Invalid, Plugin};
use crate::record::Record;
use crate::state::{State, category_bytes};

/// The most that a registry may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// How many plugins.
    pub plugins: usize,
    /// How many bytes of documents and configurations; see [`State::bytes`].
    pub bytes: u64,
    /// How many labels one plugin may have: each of them is an entry in an index.
    pub labels: usize,
}

impl Default for Quotas {
    fn default() -> Quotas {
        Quotas { plugins: 1_000_000, bytes: 1 << 30, labels: 100 }
    }
}

impl Quotas {
    /// Checks what a change would do to a state.
    ///
    /// # Errors
    ///
    /// When there would be more of something than may be, and more than there is.
    pub fn check(&self, event: &Event, step: &Step, state: &State) -> Result<(), Refusal> {
        let (before, after) = match (event, step) {
            (Event::PluginPut { plugin, .. }, Step::Plugin { before, after }) => {
                self.check_labels(before.as_ref().map(|record| &*record.plugin), plugin)?;
                if before.is_none() && state.plugins().size() >= self.plugins {
                    return Err(Refusal::TooManyPlugins { most: self.plugins });
                }
                let bytes = |record: &Option<Arc<Record>>| record.as_ref().map_or(0, |record| record.bytes());
                (bytes(before), bytes(after))
            }
            (Event::CategoryNamed { name, .. }, Step::Category { before, after }) => {
                let bytes = |display_name: &Option<Box<str>>| {
                    display_name.as_ref().map_or(0, |display_name| category_bytes(name, display_name))
                };
                (bytes(before), bytes(after))
            }
            _ => return Ok(()),
        };
        let would_be = state.bytes() + after - before;
        if would_be > self.bytes && after > before {
            return Err(Refusal::TooManyBytes { most: self.bytes, would_be });
        }
        Ok(())
    }

    fn check_labels(&self, before: Option<&Plugin>, plugin: &Plugin) -> Result<(), Invalid> {
        let labels = plugin.labels.len();
        if labels > self.labels && before.is_none_or(|before| labels > before.labels.len()) {
            let detail = format!("must be at most {} labels, not {labels} (--max-labels)", self.labels);
            return Err(Invalid::at("/labels", detail));
        }
        Ok(())
    }
}
