//! A change as a row of PostgreSQL.

use tokio_postgres::{Client, Row};

use crate::store::StoreError;
use crate::store::row::{ChangeRow, revision_from_sql};
use domain::Revision;

/// The columns of a change, in the order of [`change_row`].
pub(super) const COLUMNS: &str =
    "revision, at, kind, subject, request_id, document, detail, created_at, observed, principal, reason";

/// See [`domain::change::history::ChangePage::compact_revision`].
pub(super) async fn compact_revision(client: &Client) -> Result<Revision, StoreError> {
    let row = client.query_typed_one("SELECT horizon FROM registry", &[]).await?;
    revision_from_sql(row.try_get(0)?)
}

/// The change whose columns start at `first`.
pub(super) fn change_row(row: &Row, first: usize) -> Result<ChangeRow, StoreError> {
    Ok(ChangeRow {
        revision: row.try_get(first)?,
        at: row.try_get(first + 1)?,
        kind: row.try_get(first + 2)?,
        subject: row.try_get(first + 3)?,
        request_id: row.try_get(first + 4)?,
        document: row.try_get(first + 5)?,
        detail: row.try_get(first + 6)?,
        created_at: row.try_get(first + 7)?,
        observed: row.try_get(first + 8)?,
        principal: row.try_get(first + 9)?,
        reason: row.try_get(first + 10)?,
    })
}
