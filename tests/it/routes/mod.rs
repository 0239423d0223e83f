//! Each resource of the API.

mod budgets;
mod categories;
mod config;
mod container_id;
mod costs;
mod description;
mod event_stream;
mod event_stream_client;
mod events;
mod findings;
mod health;
mod idempotency;
mod leases;
mod log_level;
mod metrics;
mod observations;
mod plugin;
mod register;
mod remote_resource;
mod resource_lookup;
mod resources;
mod spawned_pids;
mod stats;
mod webhook_deliveries;
mod webhooks;
