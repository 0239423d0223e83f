//! Liveness: probes of processes, containers and remote resources.
//!
//! Probes report observations and decide nothing: `domain` holds the rules. [`LocalAgent`] reports to
//! the registry of this process, [`Agent`] through the client to another process. A probe that cannot
//! see a resource reports `unknown`, never `gone`.
//!
//! [`LocalAgent`]: local_agent::LocalAgent
//!
//! | file | idea |
//! |---|---|
//! | [`identity`] | tells a process from a later one with the same process id |
//! | [`stat`], [`process`], [`process_tree`] | processes and their descendants |
//! | [`parentage`], [`process_description`] | the parent of a process, and whether the process still has it |
//! | [`engine`] | the Docker Engine API |
//! | [`container`] | containers, by the Docker Engine API |
//! | [`remote`], [`backoff`] | remote resources: by HTTP and TCP, and the interval between probes |
//! | [`provider`], [`status_table`] | remote resources: by the API of their provider; what its statuses mean |
//! | [`dedup`] | drops observations that the registry already has |
//! | [`prober`] | [`Prober`]: the sweep over the resources of one host |
//! | [`local_agent`] | the sweep over the registry's own host, and over remote resources |
//! | [`agent`], [`host`] | [`Agent`]: the sweep over another host, reported by the client |
//! | [`next_step`] | what an operator can do about a resource that no probe can see |
//! | [`visibility`], [`probe_metrics`] | what this process can see, and how long a sweep takes |

pub mod agent;
pub mod backoff;
pub mod container;
pub mod dedup;
pub mod engine;
pub mod host;
pub mod identity;
pub mod local_agent;
pub mod next_step;
pub mod parentage;
pub mod probe_metrics;
pub mod prober;
pub mod process;
pub mod process_description;
pub mod process_tree;
pub mod provider;
pub mod remote;
pub mod stat;
pub mod status_table;
pub mod visibility;

pub use self::prober::HeldOnHost;
pub use agent::{Agent, AgentSettings};
pub use prober::Prober;
