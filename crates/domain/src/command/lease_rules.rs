//! The rules of leases: the effect of a command on a lease. Pure.

use super::decision::Decision;
use super::refusal::Refusal;
use crate::access::TokenId;
use crate::change::Event;
use crate::index::IndexKey;
use crate::lease::{Lease, LeaseAct, LeaseId, LeaseState, LeaseTerms, MAX_LEASES};
use crate::revision::Revision;
use crate::state::State;

fn act(id: &LeaseId, act: Option<LeaseAct>) -> Decision {
    let event = act.map(|act| Event::Lease { id: id.clone(), act });
    event.map_or_else(|| Decision::nothing(None), |event| Decision::one(event, None))
}

fn standing<'a>(state: &'a State, id: &LeaseId) -> Result<&'a Lease, Refusal> {
    state.lease(id.as_str()).map(|lease| &**lease).ok_or_else(|| Refusal::NoLease(id.clone()))
}

/// Grants a lease under a free id, to the principal of a token.
pub(crate) fn grant(
    state: &State,
    id: &LeaseId,
    terms: &LeaseTerms,
    token: Option<&TokenId>,
) -> Result<Decision, Refusal> {
    if state.active_leases().all() >= MAX_LEASES {
        return Err(Refusal::TooManyLeases);
    }
    let stands = state.lease(id.as_str()).is_some();
    Ok(act(id, (!stands).then(|| LeaseAct::Granted(terms.clone(), token.cloned()))))
}

/// Renewing a lost lease revives it.
pub(crate) fn renew(state: &State, id: &LeaseId) -> Result<Decision, Refusal> {
    match standing(state, id)?.state {
        LeaseState::Active => Ok(act(id, None)),
        LeaseState::Lost => Ok(act(id, Some(LeaseAct::Revived))),
        LeaseState::Released => Err(Refusal::LeaseReleased(id.clone())),
    }
}

/// A holder may also release a lost lease. Releasing twice changes nothing.
pub(crate) fn release(state: &State, id: &LeaseId) -> Result<Decision, Refusal> {
    let released = standing(state, id)?.state == LeaseState::Released;
    Ok(act(id, (!released).then_some(LeaseAct::Released)))
}

/// Marks the lease as lost, unless it changed after `revision`.
pub(crate) fn expire(state: &State, id: &LeaseId, revision: Revision) -> Decision {
    let same = |lease: &Lease| lease.revision == revision && lease.state == LeaseState::Active;
    let holds = state.lease(id.as_str()).is_some_and(|lease| same(lease));
    act(id, holds.then_some(LeaseAct::Expired))
}

/// Whether a plugin names a lease, or holds something that was claimed under it.
pub fn is_named(state: &State, id: &LeaseId) -> bool {
    let count = |key| state.indexes().count(&key);
    count(IndexKey::Lease(id.as_str().into())) + count(IndexKey::Claim(id.as_str().into())) > 0
}

/// Removes the lease, unless it changed after `revision` or [`is_named`].
pub(crate) fn forget(state: &State, id: &LeaseId, revision: Revision) -> Decision {
    let same = |lease: &Lease| lease.revision == revision && lease.state != LeaseState::Active;
    let is_named = is_named(state, id);
    let holds = !is_named && state.lease(id.as_str()).is_some_and(|lease| same(lease));
    act(id, holds.then_some(LeaseAct::Compacted))
}
