//! Planted bugs, which show that the tests of a promise fail when the promise is broken.
//!
//! Without the feature `planted-bugs` everything here is a constant and costs nothing. With it, the environment
//! variable `PLUGIN_REGISTRY_PLANT` names the bug to plant. Never build a release with it.

#[cfg(feature = "planted-bugs")]
use domain::{
    change::{Event, HoldingAct},
    command::Decision,
    record::{Naming, holding_rules::Unnamed},
};

/// A promise to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "planted-bugs"), expect(dead_code, reason = "only a build with planted bugs makes these"))]
enum Bug {
    /// Acknowledges a write before it is durable.
    AcknowledgeBeforeCommit,
    /// Publishes a write before it is durable.
    PublishBeforeCommit,
    /// `PRAGMA synchronous = NORMAL`: a commit does not wait for the disk.
    SynchronousNormal,
    /// `PRAGMA synchronous = OFF`: nothing waits for the disk.
    SynchronousOff,
    /// Treats a topic as complete from the first change on, instead of from the first subscriber on.
    SubscribeAfterSnapshot,
    /// Accepts any process with the same number as the held process.
    IgnoreStartTicks,
    /// Forgets what a document no longer names, whatever was seen of it.
    ForgetUnnamed,
}

#[cfg(feature = "planted-bugs")]
fn planted() -> Option<Bug> {
    match std::env::var("PLUGIN_REGISTRY_PLANT").ok()?.as_str() {
        "acknowledge-before-commit" => Some(Bug::AcknowledgeBeforeCommit),
        "publish-before-commit" => Some(Bug::PublishBeforeCommit),
        "synchronous-normal" => Some(Bug::SynchronousNormal),
        "synchronous-off" => Some(Bug::SynchronousOff),
        "subscribe-after-snapshot" => Some(Bug::SubscribeAfterSnapshot),
        "ignore-start-ticks" => Some(Bug::IgnoreStartTicks),
        "forget-unnamed" => Some(Bug::ForgetUnnamed),
        _ => None,
    }
}

#[cfg(not(feature = "planted-bugs"))]
fn planted() -> Option<Bug> {
    None
}

#[cfg(feature = "planted-bugs")]
/// Whether writes are acknowledged before they are durable: only with the planted bug.
pub(crate) fn acknowledges_early() -> bool {
    planted() == Some(Bug::AcknowledgeBeforeCommit)
}

#[cfg(feature = "planted-bugs")]
/// Whether writes are published before they are durable: only with the planted bug.
pub(crate) fn publishes_early() -> bool {
    planted() == Some(Bug::PublishBeforeCommit)
}

/// The value of `PRAGMA synchronous`: FULL, except with the planted bugs.
pub(crate) fn synchronous() -> &'static str {
    match planted() {
        Some(Bug::SynchronousNormal) => "NORMAL",
        Some(Bug::SynchronousOff) => "OFF",
        _ => "FULL",
    }
}

/// Whether a topic claims to hold changes from before its first subscriber: only with the planted bug.
pub(crate) fn subscribes_after_snapshot() -> bool {
    planted() == Some(Bug::SubscribeAfterSnapshot)
}

/// Whether a process with another start time counts as the held one: only with the planted bug.
pub(crate) fn ignores_start_ticks() -> bool {
    planted() == Some(Bug::IgnoreStartTicks)
}

/// A decision; with the planted bug, what a document no longer names is forgotten.
#[cfg(feature = "planted-bugs")]
pub(crate) fn forgetting(decision: Decision) -> Decision {
    if planted() != Some(Bug::ForgetUnnamed) {
        return decision;
    }
    let forgets = |event| match event {
        Event::Holdings { act: HoldingAct::LeftBehind { .. }, .. } => None,
        Event::PluginPut { kind, plugin, config, naming } => {
            let naming = Naming { unnamed: Unnamed::Released, ..naming };
            Some(Event::PluginPut { kind, plugin, config, naming })
        }
        event => Some(event),
    };
    let Decision { events, subject, results } = decision;
    Decision { events: events.into_iter().filter_map(forgets).collect(), subject, results }
}
