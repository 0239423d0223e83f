//! Leases at runtime: view, renew and release.

use std::sync::Arc;

use jiff::Timestamp;

use super::handle::Registry;
use super::submit_error::SubmitError;
use domain::command::{Caller, Command, Refusal, Request, authorization};
use domain::{Lease, LeaseId, LeaseState, Revision};

/// A lease with its heartbeat.
#[derive(Debug, Clone)]
pub struct LeaseView {
    /// The lease.
    pub lease: Arc<Lease>,
    /// When its holder last renewed it, as far as this process knows.
    pub renewed_at: Timestamp,
    /// When it ends or ended unless its holder renews it.
    pub expires_at: Timestamp,
    /// When its hold ends, if self-preservation holds it after its end.
    pub held_until: Option<Timestamp>,
}

impl Registry {
    /// A lease with its heartbeat.
    pub fn view_lease(&self, lease: &Arc<Lease>) -> LeaseView {
        let heartbeats = self.heartbeats();
        let now = self.clocks().look().steady;
        let wall_of = |steady| self.clocks().wall_of(steady);
        let ends_at = heartbeats.ends_at(lease);
        let (expires_at, held_until) = match lease.state {
            LeaseState::Active if ends_at <= now => {
                (wall_of(ends_at), heartbeats.held_until(lease.host.as_deref()).map(wall_of))
            }
            LeaseState::Active => (wall_of(ends_at), None),
            LeaseState::Lost | LeaseState::Released => (lease.since, None),
        };
        LeaseView { lease: Arc::clone(lease), renewed_at: heartbeats.renewed(lease), expires_at, held_until }
    }

    /// Renews a lease. This is not a change and does not wait for a disk, unless the lease was lost.
    ///
    /// # Errors
    ///
    /// If there is no such lease, it was granted to another principal, it was released, or the revival cannot be
    /// written.
    pub async fn renew_lease(&self, id: &LeaseId, asker: Caller) -> Result<(Arc<Lease>, Revision), SubmitError> {
        let snapshot = self.snapshot();
        if let Some(lease) = snapshot.state.lease(id.as_str()).filter(|lease| lease.state == LeaseState::Active) {
            if let Some(principal) = &asker.principal {
                authorization::require_own(principal, lease)?;
            }
            self.heartbeats().renew(id);
            return Ok((Arc::clone(lease), snapshot.state.revision()));
        }
        // This process may not know a lease that another one granted a moment ago; the writer does.
        let renewed = self.change_lease(id, Command::RenewLease { id: id.clone() }, asker).await?;
        self.heartbeats().renew(id);
        Ok(renewed)
    }

    /// Releases a lease: a clean end. Releasing it again is not an error.
    ///
    /// # Errors
    ///
    /// If there is no such lease, or the store cannot be written.
    pub async fn release_lease(&self, id: &LeaseId, asker: Caller) -> Result<Revision, SubmitError> {
        let (_, revision) = self.change_lease(id, Command::ReleaseLease { id: id.clone() }, asker).await?;
        Ok(revision)
    }

    async fn change_lease(
        &self,
        id: &LeaseId,
        command: Command,
        asker: Caller,
    ) -> Result<(Arc<Lease>, Revision), SubmitError> {
        let outcome = self.submit(Request::by(asker, command)).await?;
        let lease = outcome.state.as_ref().and_then(|state| state.lease(id.as_str()).cloned());
        Ok((lease.ok_or_else(|| Refusal::NoLease(id.clone()))?, outcome.revision))
    }
}
