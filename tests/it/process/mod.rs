//! The binary, the agent, `exec`, and the liveness probes.

pub(crate) mod agent;
mod binary;
mod exec;
mod forgetting;
mod greedy_viewer;
mod liveness;
mod output;
mod settings;
