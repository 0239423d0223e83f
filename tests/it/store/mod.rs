//! Commits, recovery, retention, and moving a store.

pub(crate) mod archive;
mod backup;
mod backup_parts;
mod concurrency;
pub(crate) mod conformance;
mod failing_store;
mod moved_store;
pub(crate) mod moving;
mod order_of_commands;
mod restart;
mod retention;
mod store_opening;
mod store_url;
mod two_processes;
mod upgrade;
mod upgrades;
mod webhook_store;
