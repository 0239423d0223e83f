//! How much a registry may hold. Pure.
//!
//! What a change would lead to is compared with what may be: nothing is estimated. A registry that holds more already
//! (a setting was lowered, a store was imported) goes on, and takes what does not make it grow. What was seen, found or
//! released is always taken: it must not be lost because somebody else has registered too much.

use super::change::Event;
use super::command::Refusal;
use super::state::State;
use super::transition::Transition;
use crate::plugin::{Invalid, Plugin};

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
    /// Checks a change that has led from `before` to `after`.
    ///
    /// # Errors
    ///
    /// When there is more of something than may be, and more than there was.
    pub fn check(&self, made: &Transition, before: &State, after: &State) -> Result<(), Refusal> {
        match &made.change.event {
            Event::PluginPut { plugin, .. } => {
                self.check_labels(made.before().map(|record| &*record.plugin), plugin)?;
                let plugins = after.plugins().size();
                if plugins > self.plugins && plugins > before.plugins().size() {
                    return Err(Refusal::TooManyPlugins { most: self.plugins });
                }
            }
            Event::CategoryNamed { .. } => {}
            _ => return Ok(()),
        }
        if after.bytes() > self.bytes && after.bytes() > before.bytes() {
            return Err(Refusal::TooManyBytes { most: self.bytes, would_be: after.bytes() });
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
