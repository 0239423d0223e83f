//! A stored plugin: its document, its resources, their observations and findings.
//!
//! | file | idea |
//! |---|---|
//! | [`resource`] | one resource of a plugin, and the [`Slot`] that names it |
//! | [`claim`] | who claimed a resource, when, and under which lease; who left it behind |
//! | [`holdings`] | all that a plugin holds, each a [`Holding`] |
//! | [`holding_rules`] | what becomes of it when the document changes |
//! | [`observation`] | observations of resources |
//! | [`finding`], [`next_step`] | differences between claims and observations; what to do about them |
//! | [`stop`] | a request to stop the plugin, and its answer |
//! | [`document`] | [`Record`] and its JSON, serialised once |
//! | [`observed_document`] | the part `observed` of that JSON |
//! | [`holder`], [`finding_rules`] | the holder of a plugin; the rules of findings |

pub mod claim;
pub mod document;
pub mod finding;
pub mod finding_rules;
pub mod holder;
pub mod holding_rules;
pub mod holdings;
pub mod next_step;
pub mod observation;
pub mod observed_document;
pub mod resource;
pub mod stop;

pub use self::finding::FindingChange;
pub use self::holding_rules::Naming;
pub use self::holdings::{Facts, Holding, Holdings};
pub use self::observation::ReportedObservation;
pub use self::resource::ResourceRef;
pub use claim::{Acknowledgement, Claim, ClaimState, Expiry, LeftBehind, Origin};
pub use document::{PluginDocument, Record};
pub use finding::{Finding, FindingKind, Looks};
pub use holder::Holder;
pub use observation::{Abandoned, Observation, ObservedState, ResourceKey};
pub use resource::{ResourceKind, Slot};
pub use stop::{Stop, StopAnswerTerms, StopTerms, StopVerdict};
