//! A change as a row of SQLite.

use rusqlite::{Connection, Row};

use crate::store::StoreError;
use crate::store::row::{ChangeRow, revision_from_sql};
use domain::Revision;

/// The columns of a change, in the order of [`change_row`].
pub(super) const COLUMNS: &str =
    "revision, at, kind, subject, request_id, document, detail, created_at, observed, principal, reason";

/// See [`domain::change::history::ChangePage::compact_revision`].
pub(super) fn compact_revision(connection: &Connection) -> Result<Revision, StoreError> {
    revision_from_sql(connection.prepare_cached("SELECT horizon FROM registry")?.query_row([], |row| row.get(0))?)
}

pub(super) fn change_row(row: &Row<'_>) -> rusqlite::Result<ChangeRow> {
    Ok(ChangeRow {
        revision: row.get(0)?,
        at: row.get(1)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        request_id: row.get(4)?,
        document: row.get(5)?,
        detail: row.get(6)?,
        created_at: row.get(7)?,
        observed: row.get(8)?,
        principal: row.get(9)?,
        reason: row.get(10)?,
    })
}
