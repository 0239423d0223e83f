//! The hours through which the registry has run: see [`crate::store::hours`].

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::store::StoreError;
use crate::store::hours::PassedHours;
use crate::store::row::{hour_to_sql, revision_from_sql, revision_to_sql};
use domain::Revision;

/// See [`crate::store::Journal::hour`].
pub(super) async fn newest(client: &Client) -> Result<u64, StoreError> {
    let row = client.query_typed_one("SELECT coalesce(max(hour), 0) FROM hours", &[]).await?;
    Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default())
}

/// See [`crate::store::Journal::pass_hours`].
pub(super) async fn pass(client: &Client, passed: &PassedHours) -> Result<u64, StoreError> {
    client.batch_execute("BEGIN").await?;
    let newest = pass_locked(client, passed).await;
    client.batch_execute(if newest.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    newest
}

async fn pass_locked(client: &Client, passed: &PassedHours) -> Result<u64, StoreError> {
    let row = client.query_typed_one("SELECT head FROM registry WHERE id = 1 FOR UPDATE", &[]).await?;
    let head = revision_from_sql(row.try_get(0)?)?;
    let known = newest(client).await?;
    if known != passed.known {
        return Ok(known);
    }
    for (hour, revision) in passed.rows(head) {
        let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&hour_to_sql(hour), Type::INT8), (&revision_to_sql(revision), Type::INT8)];
        client.execute_typed("INSERT INTO hours (hour, revision) VALUES ($1, $2)", &values).await?;
    }
    Ok(passed.newest())
}

/// See [`crate::store::Journal::revision_at_hour`].
pub(super) async fn revision_at(client: &Client, hour: u64) -> Result<Revision, StoreError> {
    let query = "SELECT revision FROM hours WHERE hour <= $1 ORDER BY hour DESC LIMIT 1";
    let rows = client.query_typed(query, &[(&hour_to_sql(hour), Type::INT8)]).await?;
    rows.first().map_or(Ok(Revision::default()), |row| revision_from_sql(row.try_get(0)?))
}
