//! The handlers, one file for each resource: parse, call the registry once, reply.
//!
//! | file | idea |
//! |---|---|
//! | [`plugins`], [`notes`], [`held_resources`], [`holdings`], [`release`], [`config`], [`categories`] | plugins and their parts |
//! | [`resources`], [`spans`], [`hosts`], [`stats`], [`costs`], [`cost_tables`], [`budgets`] | queries over all plugins |
//! | [`leases`], [`observations`] | reports of agents and applications |
//! | [`events`], [`event_stream`], [`event_counts`] | changes: as a list, live, and counted |
//! | [`webhooks`], [`tokens`], [`backup`], [`log_level`] | administration |
//! | [`whoami`] | the caller |
//! | [`health`], [`metrics`] | health and metrics of the service |
//! | [`dashboard`] | the dashboard's page and its files |
//! | [`mcp`] | the tools for AI agents |
//! | [`ndjson`] | many registrations in one request |

pub mod backup;
pub mod budgets;
pub mod categories;
pub mod config;
pub mod cost_tables;
pub mod costs;
pub mod dashboard;
pub mod event_counts;
mod event_pieces;
pub mod event_stream;
pub mod events;
pub mod health;
pub mod held_resources;
pub mod holdings;
pub mod hosts;
pub mod leases;
pub mod log_level;
pub mod mcp;
pub mod metrics;
pub mod ndjson;
pub mod notes;
pub mod observations;
pub mod plugins;
pub mod release;
pub mod resources;
pub mod spans;
pub mod stats;
pub mod stop_requests;
pub mod tokens;
pub mod webhooks;
pub mod whoami;
