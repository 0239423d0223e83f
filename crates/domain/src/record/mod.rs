//! A stored plugin: its document, its resources, their observations and findings.
//!
//! | file | idea |
//! |---|---|
//! | [`resource`] | one resource of a plugin: [`Holding`], and the [`Slot`] that names it |
//! | [`observation`] | observations of resources |
//! | [`finding`] | differences between claims and observations |
//! | [`document`] | [`Record`] and its JSON, serialised once |
//! | [`observed_document`] | the part `observed` of that JSON |
//! | [`holder`], [`finding_rules`] | the holder of a plugin; the rules of findings |

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
pub use observation::{Abandoned, Facts, Observation, ObservedState, ResourceKey};
pub use resource::{ResourceKind, Slot};
