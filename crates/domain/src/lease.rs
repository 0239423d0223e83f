//! Leases: one for each application process, renewed while the process lives. Pure.
//!
//! A renewal is not a change: the service keeps it outside the state. Granting, losing, reviving and releasing a lease
//! are changes. A lost lease deletes nothing: it shows that the plugin's resources may have no owner.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::TokenId;
use crate::revision::Revision;
use crate::wire_names;

/// The shortest time to live, in seconds.
pub const MIN_TTL: u32 = 5;

/// The longest time to live, in seconds.
pub const MAX_TTL: u32 = 3600;

/// The default time to live, in seconds.
pub const DEFAULT_TTL: u32 = 30;

/// The maximum number of active leases.
pub const MAX_LEASES: usize = 50_000;

/// The maximum number of ended leases that nothing names. Beyond, the registry forgets those that ended first.
pub const MAX_ENDED_LEASES: usize = 50_000;

/// The minimum time that a lease has after an outage of this process: see [`Term::ends_at`].
const LEAST_GRACE: SignedDuration = SignedDuration::from_secs(60);

/// The id of a lease: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct LeaseId(Arc<str>);

impl LeaseId {
    /// The id of a new lease.
    pub fn new(identity: Uuid) -> LeaseId {
        LeaseId(identity.simple().to_string().into())
    }

    /// An id from a client or from the store. The lease may not exist.
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
    /// The state of a lease.
    LeaseState {
        /// The holder renews it in time.
        Active = "active",
        /// The holder did not renew it in time, and may be dead.
        Lost = "lost",
        /// The holder released it: a clean end.
        Released = "released",
    }
}

wire_names! {
    /// What becomes of a claimed resource that was seen gone.
    OnGone {
        /// It stays, marked as a ghost, until a client releases it.
        Mark = "mark",
        /// The registry releases it when it becomes a ghost.
        Prune = "prune",
    }
}

#[expect(clippy::derivable_impls, reason = "`wire_names!` gives the type's variants no attributes")]
impl Default for OnGone {
    fn default() -> OnGone {
        OnGone::Mark
    }
}

impl fmt::Display for OnGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for OnGone {
    type Err = String;

    fn from_str(text: &str) -> Result<OnGone, String> {
        OnGone::from_name(text).ok_or_else(|| "must be `mark` or `prune`".into())
    }
}

/// The terms that a holder requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTerms {
    /// The name of the holder, for people.
    pub holder: Box<str>,
    /// Where the holder runs.
    pub host: Option<Box<str>>,
    /// The time to live without renewal, in seconds: [`MIN_TTL`] to [`MAX_TTL`].
    pub ttl_seconds: u32,
    /// What becomes of a resource that was claimed under the lease and seen gone, once the lease has ended; `None` for
    /// the registry's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_gone: Option<OnGone>,
}

/// A lease as of its newest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// The name of the holder.
    pub holder: Box<str>,
    /// Where the holder runs.
    pub host: Option<Box<str>>,
    /// The time to live without renewal, in seconds.
    pub ttl_seconds: u32,
    /// See [`LeaseTerms::on_gone`].
    pub on_gone: Option<OnGone>,
    /// The name of the principal it was granted to; `None` for leases older than this field.
    pub principal: Option<Arc<str>>,
    /// The token it was granted to, which owns it; `None` for a principal without a token, and for leases older than
    /// this field.
    pub token: Option<TokenId>,
    /// Its state.
    pub state: LeaseState,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it entered its state.
    pub since: Timestamp,
    /// The newest change to it.
    pub revision: Revision,
}

impl Lease {
    /// A new lease.
    pub(crate) fn granted(id: LeaseId, terms: &LeaseTerms, at: Timestamp, revision: Revision) -> Lease {
        let LeaseTerms { holder, host, ttl_seconds, on_gone } = terms.clone();
        let state = LeaseState::Active;
        Lease {
            id,
            holder,
            host,
            ttl_seconds,
            on_gone,
            principal: None,
            token: None,
            state,
            granted_at: at,
            since: at,
            revision,
        }
    }

    /// This lease, granted to a principal with a token.
    #[must_use]
    pub(crate) fn to(self, principal: Option<Arc<str>>, token: Option<TokenId>) -> Lease {
        Lease { principal, token, ..self }
    }

    /// The terms that its holder requested.
    pub fn terms(&self) -> LeaseTerms {
        let (holder, host) = (self.holder.clone(), self.host.clone());
        LeaseTerms { holder, host, ttl_seconds: self.ttl_seconds, on_gone: self.on_gone }
    }

    /// The time to live without renewal.
    pub fn ttl(&self) -> SignedDuration {
        SignedDuration::from_secs(self.ttl_seconds.into())
    }

    /// This lease in another state.
    #[must_use]
    pub(crate) fn turned(&self, state: LeaseState, since: Timestamp, revision: Revision) -> Lease {
        Lease { state, since, revision, ..self.clone() }
    }
}

/// A lease without its id and revision, for the store and for events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseText {
    /// The terms that its holder requested.
    #[serde(flatten)]
    pub terms: LeaseTerms,
    /// The name of the principal it was granted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Arc<str>>,
    /// The token it was granted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// Its state.
    pub state: LeaseState,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it entered its state.
    pub since: Timestamp,
}

impl From<&Lease> for LeaseText {
    fn from(lease: &Lease) -> LeaseText {
        let (state, granted_at, since) = (lease.state, lease.granted_at, lease.since);
        let (principal, token) = (lease.principal.clone(), lease.token.clone());
        LeaseText { terms: lease.terms(), principal, token, state, granted_at, since }
    }
}

impl LeaseText {
    /// The text for events, which any reader sees. They name the principal, and not its token.
    pub(crate) fn shown(lease: &Lease) -> LeaseText {
        LeaseText { token: None, ..LeaseText::from(lease) }
    }

    /// The lease of this id that last changed at `revision`.
    pub fn named(self, id: LeaseId, revision: Revision) -> Lease {
        let LeaseText { terms, principal, token, state, granted_at, since } = self;
        let LeaseTerms { holder, host, ttl_seconds, on_gone } = terms;
        Lease { id, holder, host, ttl_seconds, on_gone, principal, token, state, granted_at, since, revision }
    }
}

/// A change to a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAct {
    /// The registry granted it on these terms, to the token of this id if the principal had one.
    Granted(LeaseTerms, Option<TokenId>),
    /// The holder did not renew it in time.
    Expired,
    /// The holder renewed it after it was lost.
    Revived,
    /// The holder released it.
    Released,
    /// The registry forgot it: it ended long ago, and no plugin names it.
    Compacted,
}

/// The inputs to the end of a lease, by a clock that is never set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The time to live without renewal.
    pub ttl: SignedDuration,
    /// The last renewal, grant or revival that this process heard of.
    pub heard: Option<Timestamp>,
    /// When this process started, or resumed after a pause. It may have missed earlier renewals.
    pub listening: Timestamp,
}

impl Term {
    /// When the lease ends unless its holder renews it.
    ///
    /// A lease renewed while this process was running lasts its time to live. The holder of another lease may have
    /// tried to renew it during the outage. Such a lease gets its time to live or [`LEAST_GRACE`], whichever is longer,
    /// from the start of this process. So an outage of the registry makes no orphans.
    pub fn ends_at(&self) -> Timestamp {
        let (from, lasts) = match self.heard.filter(|heard| *heard >= self.listening) {
            Some(heard) => (heard, self.ttl),
            None => (self.listening, self.ttl.max(LEAST_GRACE)),
        };
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
    fn what_becomes_of_what_is_gone_is_named() {
        for (text, value) in [("mark", OnGone::Mark), ("prune", OnGone::Prune)] {
            assert_eq!(text.parse(), Ok(value));
            assert_eq!(value.to_string(), text);
        }
        assert!("kill".parse::<OnGone>().is_err());
    }

    #[test]
    fn when_a_lease_ends() {
        // ttl, heard, listening since => ends
        for (ttl, heard, listening, ends) in [
            (30, Some(1_000), 500, 1_030),
            // Renewed at the moment this process started.
            (30, Some(1_000), 1_000, 1_030),
            // Not renewed since the start: 60 s, or the time to live if that is longer.
            (30, Some(1_000), 1_001, 1_061),
            (5, None, 1_000, 1_060),
            (600, Some(999), 1_000, 1_600),
        ] {
            let term = Term { ttl: SignedDuration::from_secs(ttl), heard: heard.map(at), listening: at(listening) };
            assert_eq!(term.ends_at(), at(ends), "{ttl} {heard:?} {listening}");
        }
    }
}
