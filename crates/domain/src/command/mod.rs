//! Commands: what can be asked of the registry, and the rules that decide it.
//!
//! | file | idea |
//! |---|---|
//! | [`request`] | [`Command`], and the [`Request`] that it comes in |
//! | [`decide`](mod@decide) | the rules: what a command does to a state |
//! | [`lease_rules`], [`observation_rules`] | the rules for leases, observations and findings |
//! | [`authorization`] | whether the principal may do it |
//! | [`schema_question`], [`schema_check`] | the expensive checks that a command needs, made before it is decided |
//! | [`quota`] | how much the registry may hold |
//! | [`decision`], [`outcome`], [`refusal`] | what a command comes to |
//! | [`answer`], [`idempotency`] | requests that may be sent again |

pub mod answer;
pub mod authorization;
pub mod decide;
pub mod decision;
pub mod idempotency;
pub mod observation_rules;
pub mod outcome;
pub mod quota;
pub mod refusal;
pub mod request;
pub mod schema_check;
pub mod schema_question;

mod lease_rules;

pub use self::request::Caller;
pub use decision::Decision;
pub use outcome::Outcome;
pub use refusal::Refusal;
pub use request::{Command, Precondition, Request};
