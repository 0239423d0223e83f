//! The probes, on real processes and containers: a visible one is alive, an invisible one is unknown.
//!
//! Some tests need a world of their own (a pid namespace, another user): see [`world`].

mod containers;
mod parentage;
mod processes;
mod remotes;
mod sightings;
pub(crate) mod world;

use jiff::{SignedDuration, Timestamp};

use domain::plugin::UniqueId;
use domain::record::{ReportedObservation, ResourceKey, ResourceKind};
use plugin_registry::liveness::Prober;
use plugin_registry::liveness::prober::HeldOnHost;

/// The address of an engine that does not run.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

/// A prober that reports an unchanged observation again after a minute.
fn prober() -> Prober {
    Prober::new(NO_ENGINE, SignedDuration::from_secs(60))
}

/// A process that a plugin holds, before its first observation.
fn held(pid: u32) -> HeldOnHost {
    let id = pid.to_string().into();
    let key = ResourceKey { plugin: UniqueId::from_client("c_n"), kind: ResourceKind::Process, id, host: None };
    HeldOnHost { key, identity: None, parent: None }
}

/// Second number `second` of a test.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The only report of a sweep.
#[track_caller]
fn only(sightings: Vec<ReportedObservation>) -> ReportedObservation {
    assert_eq!(sightings.len(), 1, "{sightings:?}");
    sightings.into_iter().next().unwrap()
}
