//! What is really still there: probes of processes, containers and remote resources.
//!
//! Nothing here decides what follows from a sighting: it is reported, to the registry of this process
//! or by the client to another, and the rules are there. What cannot be seen is unknown, and never gone.
//!
//! | file | idea |
//! |---|---|
//! | [`identity`] | which process a process id means |
//! | [`stat`], [`process`], [`process_tree`] | processes, and what belongs to them |
//! | [`container`] | containers, by the Docker Engine API |
//! | [`remote`], [`backoff`] | remote resources: by HTTP and TCP, and how often |
//! | [`provider`] | remote resources: as their provider's own API says |
//! | [`dedup`] | what was told already |
//! | [`prober`] | [`Prober`]: the sweep over what a host holds |
//! | [`local_agent`] | the sweep of the registry's own host, and of what is remote |
//! | [`agent`], [`host`] | [`Agent`]: the sweep of another host, reported by the client |
//! | [`visibility`], [`probe_metrics`] | what can be seen from here, and how long looking takes |

pub mod agent;
pub mod backoff;
pub mod container;
pub mod dedup;
pub mod host;
pub mod identity;
pub mod local_agent;
pub mod probe_metrics;
pub mod prober;
pub mod process;
pub mod process_tree;
pub mod provider;
pub mod remote;
pub mod stat;
pub mod visibility;

pub use self::prober::HeldOnHost;
pub use agent::{Agent, AgentSettings};
pub use prober::Prober;
