//! The probes, on real processes and containers: what is there is alive, what is not visible is unknown.
//!
//! Some of these need a world of their own (a pid namespace, another user): see [`world`].

mod processes;
mod remotes;
pub(crate) mod world;

use jiff::{SignedDuration, Timestamp};

use domain::plugin::UniqueId;
use domain::record::{ReportedObservation, ResourceKey, ResourceKind};
use plugin_registry::liveness::Prober;
use plugin_registry::liveness::prober::HeldOnHost;

/// An engine that is not there.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

/// A prober that tells again what has not changed after a minute.
fn prober() -> Prober {
    Prober::new(NO_ENGINE, SignedDuration::from_secs(60))
}

/// A process that a plugin holds, and that nobody has seen yet.
fn held(pid: u32) -> HeldOnHost {
    let id = pid.to_string().into();
    let key = ResourceKey { plugin: UniqueId::from_client("c_n"), kind: ResourceKind::Process, id };
    HeldOnHost { key, identity: None }
}

/// Second number `second` of a test.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The only news of a sweep.
#[track_caller]
fn only(sightings: Vec<ReportedObservation>) -> ReportedObservation {
    assert_eq!(sightings.len(), 1, "{sightings:?}");
    sightings.into_iter().next().unwrap()
}
