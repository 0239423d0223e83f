//! Webhooks: HTTP requests that send changes to subscribed endpoints.
//!
//! ```text
//! POST /webhooks ─▶ Deliveries ─▶ WebhookStore (subscriptions and their progress)
//!                       │
//!                       ▼ one task for each webhook
//! Registry::topics() ─▶ Delivery: matches? ─▶ WebhookSender: signed ─▶ the target
//! Registry::history() ┘      └─ 2xx: the position advances; else: retry later, or park
//! ```
//!
//! Deliveries follow Standard Webhooks (<https://www.standardwebhooks.com>). Each webhook receives its changes in
//! order, one at a time, and at least once. The store saves the position after a delivery, so a crash in between
//! repeats the delivery with the same `webhook-id`.
//!
//! Webhooks are not part of the registry's journal: a position changes with every delivery, and a secret must not be in
//! the history.
//!
//! | file | idea |
//! |---|---|
//! | [`hook`] | [`Webhook`]: a subscription, and its strict parsing |
//! | [`secret`] | [`Secret`] signs deliveries |
//! | [`target`] | the URLs that deliveries may go to |
//! | [`sender`] | sends a request to a target |
//! | [`attempt`] | [`Attempt`](attempt::Attempt): the outcome of a request |
//! | [`message`] | the message of a delivery |
//! | [`measures`] | metrics of attempts |
//! | [`back_off`] | when to retry a failed delivery; pure |
//! | [`delivery`] | the task of a webhook |
//! | [`deliveries`] | [`Deliveries`]: manages all webhooks for the rest of the service |

pub mod attempt;
pub mod back_off;
pub mod deliveries;
pub mod delivery;
pub mod format;
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
