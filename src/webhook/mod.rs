//! Webhooks: changes, told to whoever has asked for them, by HTTP requests that this service makes.
//!
//! ```text
//! POST /webhooks ─▶ Deliveries ─▶ WebhookStore (what is wanted, how far it has come)
//!                       │
//!                       ▼ one task a webhook
//! Registry::topics() ─▶ Delivery: matches? ─▶ WebhookSender: signed ─▶ the target
//! Registry::history() ┘      └─ 2xx: the position moves on; else: again, later, or parked
//! ```
//!
//! Deliveries follow Standard Webhooks (<https://www.standardwebhooks.com>). Each webhook is sent its
//! changes in their order, one at a time, at least once: the position is kept after an answer, so that
//! a crash between the two repeats a delivery, under the same `webhook-id`.
//!
//! Nothing here decides about the registry, and nothing here is part of its journal: a position
//! changes with every delivery, and a secret must not be in the history.
//!
//! | file | idea |
//! |---|---|
//! | [`hook`] | [`Webhook`]: what is wanted; read strictly |
//! | [`secret`] | [`Secret`], and signing with it |
//! | [`target`] | where deliveries may go |
//! | [`sender`] | one request to a target |
//! | [`attempt`] | [`Attempt`](attempt::Attempt): what came of it |
//! | [`message`] | what is sent |
//! | [`measures`] | what is counted and timed of that |
//! | [`back_off`] | when a failed delivery is tried again; pure |
//! | [`delivery`] | the task of one webhook |
//! | [`deliveries`] | [`Deliveries`]: all of them, as the rest of the program holds them |

pub mod attempt;
pub mod back_off;
pub mod deliveries;
pub mod delivery;
pub mod hook;
pub mod measures;
pub mod message;
pub mod secret;
pub mod sender;
pub mod target;

pub use self::deliveries::{DeliverySettings, WebhookView};
pub use back_off::BackOff;
pub use deliveries::{Deliveries, WebhookError};
pub use hook::{Draft, Webhook};
pub use secret::Secret;
