//! The binary, the agent, `exec`, and what is really still there.

pub(crate) mod agent;
mod binary;
mod exec;
mod liveness;
mod output;
mod settings;
