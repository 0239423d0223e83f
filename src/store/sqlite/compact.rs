//! Compaction of the journal, in small separate transactions.

use rusqlite::{Connection, TransactionBehavior, params};

use super::change_row::compact_revision;
use crate::store::StoreError;
use crate::store::row::{revision_from_sql, revision_to_sql};
use domain::Revision;

/// See [`crate::store::Journal::compact`].
pub(super) fn compact(connection: &mut Connection, target: Revision, steps: usize) -> Result<Revision, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = compact_revision(&transaction)?;
    let head = transaction.query_row("SELECT head FROM registry", [], |row| row.get(0))?;
    let to = target.min(revision_from_sql(head)?).min(Revision(from.0.saturating_add(steps as u64)));
    if to <= from {
        return Ok(from);
    }
    let range = params![revision_to_sql(from), revision_to_sql(to)];
    // Changes superseded by a change in the range.
    transaction
        .prepare_cached(
            "DELETE FROM changes WHERE revision IN (
                 SELECT old.revision
                 FROM (SELECT subject, (kind = 'category.named') AS of_category, max(revision) AS revision
                       FROM changes WHERE revision > ?1 AND revision <= ?2 GROUP BY 1, 2) AS new
                 JOIN changes AS old
                     ON old.subject = new.subject
                     AND (old.kind = 'category.named') = new.of_category
                     AND old.revision < new.revision)",
        )?
        .execute(range)?;
    // Removals. The one at the compact revision stays, because its time dates the changes before it.
    transaction
        .prepare_cached(
            "DELETE FROM changes WHERE revision >= ?1 AND revision < ?2
             AND (kind IN ('plugin.removed', 'budget.removed', 'lease.forgotten')
                  OR (kind = 'category.named' AND detail IS NULL))",
        )?
        .execute(range)?;
    transaction.prepare_cached("UPDATE registry SET horizon = ?1")?.execute([revision_to_sql(to)])?;
    transaction.commit()?;
    Ok(to)
}
