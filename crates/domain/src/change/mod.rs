//! Changes: the entries of the journal, what they do, and the events that tell of them.
//!
//! | file | idea |
//! |---|---|
//! | [`event`] | [`Change`]: one entry of the journal, and the [`Event`] in it |
//! | [`step`], [`transition`] | what a change does; both together |
//! | [`cloud_event`] | a transition as CloudEvents JSON |
//! | [`history`] | changes that were made, and the state that they had led to |
//! | [`retention`] | how long changes are kept |

pub mod cloud_event;
pub mod event;
pub mod history;
pub mod retention;
pub mod step;
pub mod transition;

pub use event::{Change, ChangeKind, ConfigChange, Event};
pub use step::Step;
pub use transition::Transition;
