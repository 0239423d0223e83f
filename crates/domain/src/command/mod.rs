//! Commands: the requests to the registry, and the rules that decide them.
//!
//! | file | idea |
//! |---|---|
//! | [`request`] | [`Command`], and the [`Request`] around it |
//! | [`decide`](mod@decide) | the rules: the effect of a command on a state |
//! | [`lease_rules`], [`observation_rules`], [`budget_rules`], [`release_rules`], [`stop_rules`] | the rules for leases, observations and findings, budgets, releases, requests to stop |
//! | [`holding_effect`] | what a changed document does to what its plugin held |
//! | [`authorization`] | whether the principal may do the command |
//! | [`schema_question`], [`schema_check`] | the expensive checks of a command, made before it is decided |
//! | [`quota`] | how much the registry may hold |
//! | [`decision`], [`outcome`], [`refusal`] | the results of a command |
//! | [`answer`], [`idempotency`], [`answer_quota`] | idempotent requests |

pub mod answer;
pub mod answer_quota;
pub mod authorization;
mod budget_rules;
pub mod decide;
pub mod decision;
mod holding_effect;
pub mod idempotency;
pub mod lease_rules;
pub mod observation_rules;
pub mod outcome;
pub mod quota;
pub mod refusal;
pub mod release_rules;
pub mod request;
pub mod schema_check;
pub mod schema_question;
mod stop_rules;

pub use self::request::Caller;
pub use decision::Decision;
pub use outcome::Outcome;
pub use refusal::Refusal;
pub use request::{Command, Precondition, Request};
