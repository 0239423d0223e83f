//! The binary, the agent, `exec`, `hold-lease`, and the liveness probes.

pub(crate) mod agent;
mod binary;
mod command_line;
mod exec;
mod forgetting;
mod greedy_viewer;
mod hold_lease;
mod liveness;
mod output;
mod settings;
mod slow_readers;
