//! The handlers, one file a resource: parse, one call to the registry, reply.
//!
//! | file | idea |
//! |---|---|
//! | [`plugins`], [`held_resources`], [`config`], [`categories`] | plugins and their parts |
//! | [`resources`], [`stats`], [`costs`], [`budgets`] | questions about all of them |
//! | [`leases`], [`observations`] | what agents and applications report |
//! | [`events`], [`event_stream`] | what has changed: as a list, and live |
//! | [`webhooks`], [`tokens`], [`backup`], [`log_level`] | administration |
//! | [`health`], [`metrics`] | the service itself |
//! | [`ndjson`] | many registrations in one request |

pub mod backup;
pub mod budgets;
pub mod categories;
pub mod config;
pub mod costs;
pub mod event_stream;
pub mod events;
pub mod health;
pub mod held_resources;
pub mod leases;
pub mod log_level;
pub mod metrics;
pub mod ndjson;
pub mod observations;
pub mod plugins;
pub mod resources;
pub mod stats;
pub mod tokens;
pub mod webhooks;
