//! Leases: one for each application process, renewed as long as it lives. Pure.
//!
//! That a lease is renewed is no change, and is remembered by the service beside the state; that one is granted,
//! lost, found again or released is one. A lease that is lost deletes nothing: it says that nobody is
//! known any more who looks after what its plugins hold.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::revision::Revision;
use crate::wire_names;

/// The shortest time to live, in seconds.
pub const MIN_TTL: u32 = 5;

/// The longest, in seconds.
pub const MAX_TTL: u32 = 3600;

/// What it is when nobody has said, in seconds.
pub const DEFAULT_TTL: u32 = 30;

/// The most leases that there can be at a time, those that have ended and are not yet forgotten included.
pub const MAX_LEASES: usize = 50_000;

/// How long a lease stays after it was released or lost, when no plugin names it any more.
pub const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The least time that a lease has after this process could not be reached: see [`Term::ends_at`].
const LEAST_GRACE: SignedDuration = SignedDuration::from_secs(60);

/// How far ahead of the clock a renewal may be before it counts as one from before the clock was set back.
const AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// The name of a lease: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct LeaseId(Arc<str>);

impl LeaseId {
    /// The name of a new lease.
    pub fn new(identity: Uuid) -> LeaseId {
        LeaseId(identity.simple().to_string().into())
    }

    /// The name that a client says, or that was kept; whether there is such a lease is for the registry to say.
    pub fn named(text: &str) -> LeaseId {
        LeaseId(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::borrow::Borrow<str> for LeaseId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for LeaseId {
    fn from(text: String) -> LeaseId {
        LeaseId(text.into())
    }
}

impl From<LeaseId> for String {
    fn from(id: LeaseId) -> String {
        id.as_str().to_owned()
    }
}

wire_names! {
    /// What has become of a lease.
    LeaseState {
        /// It is renewed in time.
        Active = "active",
        /// It was not renewed in time: its holder may be dead.
        Lost = "lost",
        /// Its holder has given it back: a clean end.
        Released = "released",
    }
}

/// What a holder has asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTerms {
    /// Who holds it: a name for people.
    pub holder: Box<str>,
    /// Where the holder runs.
    pub host: Option<Box<str>>,
    /// How long it lasts without being renewed, in seconds: [`MIN_TTL`] to [`MAX_TTL`].
    pub ttl_seconds: u32,
}

/// A lease as of its newest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// Who holds it.
    pub holder: Box<str>,
    /// Where the holder runs.
    pub host: Option<Box<str>>,
    /// How long it lasts without being renewed, in seconds.
    pub ttl_seconds: u32,
    /// The name of the principal that it was granted to; `None` before this was kept.
    pub principal: Option<Arc<str>>,
    /// What has become of it.
    pub state: LeaseState,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// Since when its state is what it is.
    pub since: Timestamp,
    /// The newest change to it.
    pub revision: Revision,
}

impl Lease {
    /// A lease that is granted.
    pub(crate) fn granted(id: LeaseId, terms: &LeaseTerms, at: Timestamp, revision: Revision) -> Lease {
        let LeaseTerms { holder, host, ttl_seconds } = terms.clone();
        let state = LeaseState::Active;
        Lease { id, holder, host, ttl_seconds, principal: None, state, granted_at: at, since: at, revision }
    }

    /// This lease as one that was granted to somebody.
    #[must_use]
    pub(crate) fn to(self, principal: Option<Arc<str>>) -> Lease {
        Lease { principal, ..self }
    }

    /// What its holder has asked for.
    pub fn terms(&self) -> LeaseTerms {
        LeaseTerms { holder: self.holder.clone(), host: self.host.clone(), ttl_seconds: self.ttl_seconds }
    }

    /// How long it lasts without being renewed.
    pub fn ttl(&self) -> SignedDuration {
        SignedDuration::from_secs(self.ttl_seconds.into())
    }

    /// This lease in another state.
    #[must_use]
    pub(crate) fn turned(&self, state: LeaseState, since: Timestamp, revision: Revision) -> Lease {
        Lease { state, since, revision, ..self.clone() }
    }
}

/// A lease without its name and revision, as a store keeps it and as an event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseText {
    /// What its holder has asked for.
    #[serde(flatten)]
    pub terms: LeaseTerms,
    /// The name of the principal that it was granted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Arc<str>>,
    /// What has become of it.
    pub state: LeaseState,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// Since when its state is what it is.
    pub since: Timestamp,
}

impl From<&Lease> for LeaseText {
    fn from(lease: &Lease) -> LeaseText {
        let (state, granted_at, since) = (lease.state, lease.granted_at, lease.since);
        LeaseText { terms: lease.terms(), principal: lease.principal.clone(), state, granted_at, since }
    }
}

impl LeaseText {
    /// The lease of this name that was changed last at `revision`.
    pub fn named(self, id: LeaseId, revision: Revision) -> Lease {
        let LeaseText { terms: LeaseTerms { holder, host, ttl_seconds }, principal, state, granted_at, since } = self;
        Lease { id, holder, host, ttl_seconds, principal, state, granted_at, since, revision }
    }
}

/// What happens to a lease, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAct {
    /// It is granted on these terms.
    Granted(LeaseTerms),
    /// It was not renewed in time.
    Expired,
    /// Its holder, thought lost, has renewed it.
    Revived,
    /// Its holder has given it back.
    Released,
    /// It ended long ago, and no plugin names it.
    Compacted,
}

/// What decides when a lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// How long it lasts without being renewed.
    pub ttl: SignedDuration,
    /// When it was renewed last, granted or revived; as far as this process knows.
    pub renewed: Timestamp,
    /// When this process began to listen, or came back after it had stood still: what happened before it
    /// may have missed.
    pub listening: Timestamp,
}

impl Term {
    /// When the lease ends unless it is renewed.
    ///
    /// What was renewed while this process has listened lasts its time to live. What was not may have been renewed all
    /// the same: it has that time or [`LEAST_GRACE`], whichever is longer, from when this process began to listen, so that
    /// an outage of our own makes no orphans.
    pub fn ends_at(&self, now: Timestamp) -> Timestamp {
        let ahead = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let heard = self.renewed >= self.listening && self.renewed <= ahead;
        let (from, lasts) = if heard { (self.renewed, self.ttl) } else { (self.listening, self.ttl.max(LEAST_GRACE)) };
        from.saturating_add(lasts).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn when_a_lease_ends() {
        // ttl, renewed, listening since, now => ends
        for (ttl, renewed, listening, now, ends) in [
            (30, 1_000, 500, 1_010, 1_030),
            // Renewed at the moment at which it began to listen.
            (30, 1_000, 1_000, 1_000, 1_030),
            // Not heard of since the start: 60 s, or the time to live when that is longer.
            (30, 1_000, 1_001, 1_002, 1_061),
            (5, 0, 1_000, 1_000, 1_060),
            (600, 999, 1_000, 1_000, 1_600),
            // A little ahead, as when another process has renewed it.
            (30, 1_004, 500, 1_000, 1_034),
            // The clock was set back by an hour: renewals of the other time say nothing.
            (30, 4_600, 1_000, 1_001, 1_060),
        ] {
            let term = Term { ttl: SignedDuration::from_secs(ttl), renewed: at(renewed), listening: at(listening) };
            assert_eq!(term.ends_at(at(now)), at(ends), "{ttl} {renewed} {listening} {now}");
        }
    }
}
