//! Bugs on purpose, so that the tests of a promise can be shown to fail when it is broken.
//!
//! Without the feature `planted-bugs` everything here is a constant and costs nothing. With it, the
//! environment variable `PLUGIN_REGISTRY_PLANT` names the bug to plant. Never build a release with it.

/// A promise to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "planted-bugs"), expect(dead_code, reason = "only a build with planted bugs makes these"))]
enum Bug {
    /// Answer a write before it is durable.
    AcknowledgeBeforeCommit,
    /// Show a write to readers before it is durable.
    PublishBeforeCommit,
    /// `PRAGMA synchronous = NORMAL`: a commit does not wait for the disk.
    SynchronousNormal,
    /// `PRAGMA synchronous = OFF`: nothing waits for the disk.
    SynchronousOff,
    /// Take a topic for whole from the first change on, when it is from the first follower on.
    SubscribeAfterSnapshot,
    /// Take any process with the number for the one that is held.
    IgnoreStartTicks,
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
        _ => None,
    }
}

#[cfg(not(feature = "planted-bugs"))]
fn planted() -> Option<Bug> {
    None
}

#[cfg(feature = "planted-bugs")]
/// Whether writes are answered before they are durable: never, but for the planted bug.
pub(crate) fn acknowledges_early() -> bool {
    planted() == Some(Bug::AcknowledgeBeforeCommit)
}

#[cfg(feature = "planted-bugs")]
/// Whether writes are shown before they are durable: never, but for the planted bug.
pub(crate) fn publishes_early() -> bool {
    planted() == Some(Bug::PublishBeforeCommit)
}

/// The value of `PRAGMA synchronous`: FULL, but for the planted bugs.
pub(crate) fn synchronous() -> &'static str {
    match planted() {
        Some(Bug::SynchronousNormal) => "NORMAL",
        Some(Bug::SynchronousOff) => "OFF",
        _ => "FULL",
    }
}

/// Whether a topic claims to hold what came before its first follower: never, but for the planted bug.
pub(crate) fn subscribes_after_snapshot() -> bool {
    planted() == Some(Bug::SubscribeAfterSnapshot)
}

/// Whether a process counts as the one that is held whenever it was started: never, but for the planted bug.
pub(crate) fn ignores_start_ticks() -> bool {
    planted() == Some(Bug::IgnoreStartTicks)
}
