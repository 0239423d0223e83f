//! The HTTP API: every route, status code and extractor. Nothing here decides anything.
//!
//! A handler parses, makes one call to the registry, and replies. What goes wrong anywhere, in
//! routing and extraction too, is answered as a problem document (RFC 9457).
//!
//! | file | idea |
//! |---|---|
//! | [`mod@router`] | all routes on one page |
//! | [`plugins`], [`runtime`], [`config`], [`categories`], [`resources`], [`leases`], [`observations`], [`stats`], [`costs`], [`budgets`], [`webhooks`], [`backup`], [`health`] | the handlers, by resource |
//! | [`ndjson`] | many registrations in one request |
//! | [`problem`], [`refusal`] | errors |
//! | [`body`], [`path`], [`params`], [`conditional`], [`negotiate`] | extractors |
//! | [`list_params`], [`cursor`], [`list_body`] | lists |
//! | [`events`], [`event_params`], [`event_stream`] | what has changed: as a list, and live |
//! | [`view`] | reads that wait, or look back |
//! | [`mod@write`], [`idempotency`], [`reply`] | what writes, and replies, have in common |
//! | [`context`], [`currency`], [`request_id`], [`compress`] | what surrounds every request |
//! | [`metrics`], [`process`] | what is counted, and what this process takes |
//! | [`openapi`] | the description of the API |

pub mod backup;
pub mod body;
mod budgets;
mod categories;
pub mod compress;
pub mod conditional;
mod config;
pub mod context;
mod costs;
pub mod currency;
pub mod cursor;
mod event_params;
mod event_stream;
mod events;
mod health;
pub mod idempotency;
mod leases;
pub mod list_body;
pub mod list_params;
pub mod metrics;
pub mod ndjson;
pub mod negotiate;
mod observations;
pub mod openapi;
pub mod params;
pub mod path;
mod plugins;
pub mod problem;
mod process;
pub mod refusal;
pub mod reply;
pub mod request_id;
mod resources;
pub mod router;
mod runtime;
mod stats;
pub mod view;
mod webhooks;
pub mod write;

pub use backup::Backups;
pub use router::{Api, Limits, router};
