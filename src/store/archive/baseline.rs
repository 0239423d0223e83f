//! The baseline: changes that replace an omitted history.
//!
//! A store keeps the newest change of everything that exists, so that it knows the state before a later change. For an
//! archive without changes, the reader makes them anew. No client ever sees them: they are not after the compact
//! revision.

use std::collections::BTreeMap;

use crate::store::StoreError;
use crate::store::row::{ChangeRow, document_text, lease_text, revision_to_sql};
use domain::change::ChangeKind;
use domain::record::Record;
use domain::{Lease, LeaseState, Revision, State};

/// The changes of a journal whose compact revision is its head, oldest first.
///
/// # Errors
///
/// If two changes have the same revision, or one has a revision after the head.
pub fn standing(state: &State) -> Result<Vec<ChangeRow>, StoreError> {
    let mut rows = BTreeMap::new();
    let mut add = |revision: Revision, row| {
        if revision > state.revision() {
            return Err(StoreError::refused(format!("revision {revision} is after the head {}", state.revision())));
        }
        match rows.insert(revision, row) {
            None => Ok(()),
            Some(_) => Err(StoreError::refused(format!("revision {revision} occurs twice"))),
        }
    };
    for record in state.plugins().values() {
        add(record.revision, of_plugin(record)?)?;
    }
    let at = state.at().as_microsecond();
    for (name, category) in state.named_categories() {
        let named = row(category.revision, at, ChangeKind::CategoryNamed, name.as_str());
        add(category.revision, ChangeRow { detail: Some(category.display_name.clone().into()), ..named })?;
    }
    for lease in state.leases().values() {
        add(lease.revision, of_lease(lease)?)?;
    }
    if state.revision() > Revision(0) && !rows.contains_key(&state.revision()) {
        // The newest change was a removal; this one carries the time of the head.
        rows.insert(state.revision(), row(state.revision(), at, ChangeKind::PluginRemoved, ""));
    }
    Ok(in_time(rows))
}

fn of_plugin(record: &Record) -> Result<ChangeRow, StoreError> {
    let is_new = record.created_at == record.updated_at;
    let kind = if is_new { ChangeKind::PluginRegistered } else { ChangeKind::PluginUpdated };
    let row = row(record.revision, record.updated_at.as_microsecond(), kind, record.unique_id.as_str());
    let created_at = Some(record.created_at.as_microsecond());
    let observed = record.holdings.to_text();
    Ok(ChangeRow { document: Some(document_text(&record.plugin)?), created_at, observed, ..row })
}

/// The newest change of a lease follows from its state.
fn of_lease(lease: &Lease) -> Result<ChangeRow, StoreError> {
    let kind = match lease.state {
        LeaseState::Active if lease.since == lease.granted_at => ChangeKind::LeaseGranted,
        LeaseState::Active => ChangeKind::LeaseRevived,
        LeaseState::Lost => ChangeKind::LeaseExpired,
        LeaseState::Released => ChangeKind::LeaseReleased,
    };
    let row = row(lease.revision, lease.since.as_microsecond(), kind, lease.id.as_str());
    Ok(ChangeRow { detail: Some(lease_text(lease)?), ..row })
}

fn row(revision: Revision, at: i64, kind: ChangeKind, subject: &str) -> ChangeRow {
    ChangeRow {
        revision: revision_to_sql(revision),
        at,
        kind: kind.as_str().to_owned(),
        subject: subject.to_owned(),
        request_id: None,
        document: None,
        detail: None,
        created_at: None,
        observed: None,
        // An archive has principals and reasons only in its changes.
        principal: None,
        reason: None,
    }
}

/// The store does not keep the time of a category's naming. The time of the next change is an upper bound.
fn in_time(rows: BTreeMap<Revision, ChangeRow>) -> Vec<ChangeRow> {
    let mut rows: Vec<_> = rows.into_values().collect();
    let mut next = i64::MAX;
    for row in rows.iter_mut().rev() {
        row.at = row.at.min(next);
        next = row.at;
    }
    rows
}
