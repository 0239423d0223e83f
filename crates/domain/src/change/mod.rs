//! Changes: the entries of the journal, their effects, and their events.
//!
//! | file | idea |
//! |---|---|
//! | [`event`] | [`Change`]: one entry of the journal, and the [`Event`] in it |
//! | [`holding_act`] | what an event does to holdings, apart from the document |
//! | [`step`], [`transition`] | the effect of a change; both together |
//! | [`cloud_event`] | a transition as CloudEvents JSON |
//! | [`history`] | past changes, and the state before them |
//! | [`retention`] | how long changes are kept |

pub mod cloud_event;
pub mod event;
pub mod history;
pub mod holding_act;
pub mod retention;
pub mod step;
pub mod transition;

pub use event::{Change, ChangeKind, ConfigChange, Event};
pub use holding_act::{EndReason, HoldingAct, Note};
pub use step::Step;
pub use transition::Transition;
