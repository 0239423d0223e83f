//! What is really still there: probes of processes, containers and remote resources.
//!
//! Nothing here decides what follows from a sighting: it is reported, to the registry of this process
//! or by the client to another, and the rules are there. What cannot be seen is unknown, and never gone.
//!
//! | file | idea |
//! |---|---|
//! | [`identity`] | which process a process id means |
//! | [`stat`], [`process`], [`family`] | processes, and what belongs to them |
//! | [`container`] | containers, by the Docker Engine API |
//! | [`remote`], [`pace`] | remote resources: by HTTP and TCP, and how often |
//! | [`provider`] | remote resources: as their provider's own API says |
//! | [`memory`] | what was told already |
//! | [`prober`] | [`Prober`]: the sweep over what a host holds |
//! | [`own_host`] | the sweep of the registry's own host, and of what is remote |
//! | [`agent`], [`host`] | [`Agent`]: the sweep of another host, reported by the client |
//! | [`sight`], [`passes`] | what can be seen from here, and how long looking takes |

pub mod agent;
pub mod container;
pub mod family;
pub mod host;
pub mod identity;
pub mod memory;
pub mod own_host;
pub mod pace;
pub mod passes;
pub mod prober;
pub mod process;
pub mod provider;
pub mod remote;
pub mod sight;
pub mod stat;

pub use agent::{Agent, AgentSettings};
pub use prober::{Held, Prober};
