//! The HTTP API: every route, status code and extractor. Nothing here decides anything.
//!
//! A handler parses, makes one call to the registry, and replies. What goes wrong anywhere, in
//! routing and extraction too, is answered as a problem document (RFC 9457).
//!
//! | file | idea |
//! |---|---|
//! | [`mod@router`] | all routes on one page |
//! | [`plugins`], [`runtime`], [`config`], [`categories`], [`resources`], [`leases`], [`observations`], [`stats`], [`costs`], [`budgets`], [`webhooks`], [`tokens`], [`backup`], [`health`] | the handlers, by resource |
//! | [`ndjson`] | many registrations in one request |
//! | [`problem`], [`refusal`] | errors |
//! | [`body`], [`path`], [`params`], [`conditional`], [`negotiate`] | extractors |
//! | [`list_params`], [`cursor`], [`list_body`] | lists |
//! | [`events`], [`event_params`], [`event_stream`] | what has changed: as a list, and live |
//! | [`view`] | reads that wait, or look back |
//! | [`mod@write`], [`idempotency`], [`reply`] | what writes, and replies, have in common |
//! | [`access`](mod@access), [`origin`] | who asks, and whether it is for them |
//! | [`context`], [`currency`], [`request_id`], [`peer`], [`compress`] | what surrounds every request |
//! | [`gate`], [`rates`], [`room`] | which requests are let in |
//! | [`cors`], [`security_headers`] | what browsers may do with answers |
//! | [`metrics`], [`figures`], [`requests`], [`process`], [`classic_text`] | what is counted, and what this process takes; as text |
//! | [`traced`], [`mod@log_level`] | traces of requests; the log's level |
//! | [`openapi`] | the description of the API |

pub mod access;
pub mod backup;
pub mod body;
mod budgets;
mod categories;
mod classic_text;
pub mod compress;
pub mod conditional;
mod config;
pub mod context;
pub mod cors;
mod costs;
pub mod currency;
pub mod cursor;
mod event_params;
mod event_stream;
mod events;
mod figures;
pub mod gate;
mod health;
pub mod idempotency;
mod leases;
pub mod list_body;
pub mod list_params;
mod log_level;
pub mod metrics;
pub mod ndjson;
pub mod negotiate;
mod observations;
pub mod openapi;
pub mod origin;
pub mod params;
pub mod path;
pub mod peer;
mod plugins;
pub mod problem;
mod process;
pub mod rates;
pub mod refusal;
pub mod reply;
pub mod request_id;
pub mod requests;
mod resources;
pub mod room;
pub mod router;
mod runtime;
pub mod security_headers;
mod stats;
mod tokens;
mod traced;
pub mod view;
mod webhooks;
pub mod write;

pub use access::Access;
pub use backup::Backups;
pub use gate::Gate;
pub use router::{Api, Limits, Offer, Shared, router};
