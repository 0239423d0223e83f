//! A plugin as it stands: its document, what it holds, what was observed of that, and what was found.
//!
//! | file | idea |
//! |---|---|
//! | [`resource`] | one thing that a plugin holds: [`Holding`], and the [`Slot`] that names it |
//! | [`observation`] | what was seen of it |
//! | [`finding`] | what is wrong with it: claimed and observed, side by side |
//! | [`document`] | [`Record`] and its JSON, serialised once |
//! | [`observed_document`] | the part `observed` of that JSON |
//! | [`holder`], [`finding_rules`] | who holds it; the rules by which it comes to be a finding |

pub mod document;
pub mod finding;
pub mod finding_rules;
pub mod holder;
pub mod observation;
pub mod observed_document;
pub mod resource;

pub use self::finding::FindingChange;
pub use self::observation::{ObservedResources, ReportedObservation};
pub use self::resource::Holding;
pub use document::{PluginDocument, Record};
pub use finding::{Finding, FindingKind, Looks};
pub use holder::Holder;
pub use observation::{Facts, Observation, ObservedState, ResourceKey};
pub use resource::{ResourceKind, Slot};
