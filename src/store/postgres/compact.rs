//! Compaction of the journal, in small separate transactions.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::store::StoreError;
use crate::store::row::{revision_from_sql, revision_to_sql};
use domain::Revision;

/// See [`crate::store::Journal::compact`].
pub(super) async fn compact(client: &Client, target: Revision, steps: usize) -> Result<Revision, StoreError> {
    client.batch_execute("BEGIN").await?;
    let compacted = compact_locked(client, target, steps).await;
    client.batch_execute(if compacted.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    compacted
}

async fn compact_locked(client: &Client, target: Revision, steps: usize) -> Result<Revision, StoreError> {
    let row = client.query_typed_one("SELECT horizon, head FROM registry WHERE id = 1 FOR UPDATE", &[]).await?;
    let (from, head) = (revision_from_sql(row.try_get(0)?)?, revision_from_sql(row.try_get(1)?)?);
    let to = target.min(head).min(Revision(from.0.saturating_add(steps as u64)));
    if to <= from {
        return Ok(from);
    }
    let (least, most) = (revision_to_sql(from), revision_to_sql(to));
    // Changes superseded by a change in the range.
    let superseded = "DELETE FROM changes USING (
                          SELECT subject, of_category, max(revision) AS revision FROM changes
                          WHERE revision > $1 AND revision <= $2 GROUP BY 1, 2) AS new
                      WHERE changes.subject = new.subject AND changes.of_category = new.of_category
                          AND changes.revision < new.revision";
    client.execute_typed(superseded, &[(&least, Type::INT8), (&most, Type::INT8)]).await?;
    // Removals. The one at the compact revision stays, because its time dates the changes before it.
    let ended = "DELETE FROM changes WHERE revision >= $1 AND revision < $2
                     AND (kind IN ('plugin.removed', 'budget.removed', 'lease.forgotten')
                          OR (of_category AND detail IS NULL))";
    client.execute_typed(ended, &[(&least, Type::INT8), (&most, Type::INT8)]).await?;
    client.execute_typed("UPDATE registry SET horizon = $1 WHERE id = 1", &[(&most, Type::INT8)]).await?;
    Ok(to)
}
