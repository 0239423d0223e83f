//! Writes a batch as a few statements, whatever its size. They are pipelined, so a batch costs one round trip and one
//! flush of the write-ahead log.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::idempotency::AnswerColumns;
use super::ledger::LedgerColumns;
use super::session::Statements;
use crate::store::row::{ChangeRow, document_text, lease_text, revision_to_sql};
use crate::store::{Batch, StoreError};
use domain::change::Transition;
use domain::command::idempotency::KeptAnswer;
use domain::plugin::{FreeJson, Name, UniqueId};
use domain::record::Record;
use domain::{Category, Lease, LeaseId, State};

/// The approximate bytes of documents in one statement. PostgreSQL refuses messages of a gigabyte.
const STATEMENT_BYTES: usize = 32 << 20;

/// Writes a batch within the current transaction, and commits it.
///
/// # Errors
///
/// If any statement fails. Then the transaction is not committed, unless the connection failed.
pub(super) async fn write(client: &Client, statements: &Statements, batch: &Batch<'_>) -> Result<(), StoreError> {
    let changes = parts(batch.transitions, |transition: &Arc<Transition>| transition.bytes())
        .map(|part| ChangeColumns::of(part.iter().map(|transition| ChangeRow::try_from(&**transition))))
        .collect::<Result<Vec<_>, _>>()?;
    let plugins = parts(&batch.standing, |record: &Arc<Record>| record.json.len())
        .map(PluginColumns::of)
        .collect::<Result<Vec<_>, _>>()?;
    let removed: Vec<_> = batch.removed.iter().map(UniqueId::as_str).collect();
    let categories = CategoryColumns::of(&batch.categories);
    let leases = LeaseColumns::of(&batch.leases)?;
    let answers = AnswerColumns::of(batch.answers)?;
    let ledger = LedgerColumns::of(batch);
    let (head, head_at) = (revision_to_sql(batch.state.revision()), batch.state.at().as_microsecond());

    let mut sent = Vec::new();
    sent.extend(changes.iter().map(|columns| execute(client, &statements.insert_changes, columns.values())));
    sent.extend(plugins.iter().map(|columns| execute(client, &statements.put_plugins, columns.values())));
    if !removed.is_empty() {
        sent.push(execute(client, &statements.remove_plugins, vec![&removed]));
    }
    if !categories.names.is_empty() {
        sent.push(execute(client, &statements.put_categories, categories.values()));
    }
    if !categories.removed.is_empty() {
        sent.push(execute(client, &statements.remove_categories, vec![&categories.removed]));
    }
    if !leases.ids.is_empty() {
        sent.push(execute(client, &statements.put_leases, leases.values()));
    }
    if !leases.removed.is_empty() {
        sent.push(execute(client, &statements.remove_leases, vec![&leases.removed]));
    }
    if !batch.answers.is_empty() {
        sent.push(execute(client, &statements.keep_answers, answers.values()));
    }
    ledger.send(client, &mut sent);
    sent.push(execute(client, &statements.advance, vec![&head, &head_at]));
    // One message. After a failed statement NOTIFY fails too, so COMMIT is not reached, which would report success for
    // a rollback.
    sent.push(client.batch_execute("NOTIFY plugin_registry; COMMIT").boxed());
    for answer in join_all(sent).await {
        answer?;
    }
    Ok(())
}

/// Writes changes from an archive, within the current transaction.
///
/// # Errors
///
/// If the statement fails.
pub(super) async fn put_changes(
    client: &Client,
    statements: &Statements,
    rows: Vec<ChangeRow>,
) -> Result<(), StoreError> {
    let columns = ChangeColumns::of(rows.into_iter().map(Ok))?;
    Ok(execute(client, &statements.insert_changes, columns.values()).await?)
}

/// Writes stored responses from an archive, within the current transaction.
///
/// # Errors
///
/// If the statement fails.
pub(super) async fn put_answers(
    client: &Client,
    statements: &Statements,
    answers: &[KeptAnswer],
) -> Result<(), StoreError> {
    let columns = AnswerColumns::of(answers)?;
    Ok(execute(client, &statements.keep_answers, columns.values()).await?)
}

/// Writes the state of an archive, within the current transaction.
///
/// # Errors
///
/// If a statement fails.
pub(super) async fn put_standing(client: &Client, statements: &Statements, state: &State) -> Result<(), StoreError> {
    let batch = Batch::whole(state);
    for part in parts(&batch.standing, |record: &Arc<Record>| record.json.len()) {
        execute(client, &statements.put_plugins, PluginColumns::of(part)?.values()).await?;
    }
    let (categories, ledger) = (CategoryColumns::of(&batch.categories), LedgerColumns::of(&batch));
    let leases = LeaseColumns::of(&batch.leases)?;
    let mut sent = vec![
        execute(client, &statements.put_categories, categories.values()),
        execute(client, &statements.put_leases, leases.values()),
    ];
    ledger.send(client, &mut sent);
    for answer in join_all(sent).await {
        answer?;
    }
    Ok(())
}

/// Sends a statement when it is first polled.
fn execute<'a>(
    client: &'a Client,
    statement: &'a Statement,
    values: Vec<&'a (dyn ToSql + Sync)>,
) -> BoxFuture<'a, Result<(), Error>> {
    async move { client.execute(statement, &values).await.map(drop) }.boxed()
}

/// Splits items so that no part is too large for a statement.
fn parts<T>(items: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take_while(|item| {
            bytes += size(item);
            bytes <= STATEMENT_BYTES
        });
        let (part, others) = rest.split_at_checked(fit.count().max(1))?;
        rest = others;
        Some(part)
    })
}

/// Changes, one array for each column.
#[derive(Default)]
struct ChangeColumns {
    revisions: Vec<i64>,
    times: Vec<i64>,
    kinds: Vec<String>,
    subjects: Vec<String>,
    request_ids: Vec<Option<String>>,
    documents: Vec<Option<String>>,
    details: Vec<Option<String>>,
    created_at: Vec<Option<i64>>,
    observed: Vec<Option<String>>,
    principals: Vec<Option<String>>,
    reasons: Vec<Option<String>>,
}

impl ChangeColumns {
    fn of(rows: impl Iterator<Item = Result<ChangeRow, StoreError>>) -> Result<ChangeColumns, StoreError> {
        let mut columns = ChangeColumns::default();
        for row in rows {
            let row = row?;
            columns.revisions.push(row.revision);
            columns.times.push(row.at);
            columns.kinds.push(row.kind);
            columns.subjects.push(row.subject);
            columns.request_ids.push(row.request_id);
            columns.documents.push(row.document);
            columns.details.push(row.detail);
            columns.created_at.push(row.created_at);
            columns.observed.push(row.observed);
            columns.principals.push(row.principal);
            columns.reasons.push(row.reason);
        }
        Ok(columns)
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.revisions,
            &self.times,
            &self.kinds,
            &self.subjects,
            &self.request_ids,
            &self.documents,
            &self.details,
            &self.created_at,
            &self.observed,
            &self.principals,
            &self.reasons,
        ]
    }
}

/// Plugins, one array for each column.
#[derive(Default)]
struct PluginColumns<'a> {
    ids: Vec<&'a str>,
    documents: Vec<String>,
    configs: Vec<Option<&'a str>>,
    revisions: Vec<i64>,
    created_at: Vec<i64>,
    updated_at: Vec<i64>,
    observed: Vec<Option<String>>,
}

impl<'a> PluginColumns<'a> {
    fn of(records: &'a [Arc<Record>]) -> Result<PluginColumns<'a>, StoreError> {
        let mut columns = PluginColumns::default();
        for record in records {
            columns.ids.push(record.unique_id.as_str());
            columns.documents.push(document_text(&record.plugin)?);
            columns.configs.push(record.config.as_ref().map(FreeJson::as_str));
            columns.revisions.push(revision_to_sql(record.revision));
            columns.created_at.push(record.created_at.as_microsecond());
            columns.updated_at.push(record.updated_at.as_microsecond());
            columns.observed.push(record.holdings.to_text());
        }
        Ok(columns)
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.ids,
            &self.documents,
            &self.configs,
            &self.revisions,
            &self.created_at,
            &self.updated_at,
            &self.observed,
        ]
    }
}

/// Categories with a display name, one array for each column; and those without one.
#[derive(Default)]
struct CategoryColumns<'a> {
    names: Vec<&'a str>,
    display_names: Vec<&'a str>,
    revisions: Vec<i64>,
    removed: Vec<&'a str>,
}

impl<'a> CategoryColumns<'a> {
    fn of(categories: &'a [(Name, Option<Category>)]) -> CategoryColumns<'a> {
        let mut columns = CategoryColumns::default();
        for (name, category) in categories {
            match category {
                Some(category) => {
                    columns.names.push(name.as_str());
                    columns.display_names.push(&category.display_name);
                    columns.revisions.push(revision_to_sql(category.revision));
                }
                None => columns.removed.push(name.as_str()),
            }
        }
        columns
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.names, &self.display_names, &self.revisions]
    }
}

/// Leases, one array for each column; and the forgotten ones.
#[derive(Default)]
struct LeaseColumns<'a> {
    ids: Vec<&'a str>,
    documents: Vec<String>,
    revisions: Vec<i64>,
    removed: Vec<&'a str>,
}

impl<'a> LeaseColumns<'a> {
    fn of(leases: &'a [(LeaseId, Option<Arc<Lease>>)]) -> Result<LeaseColumns<'a>, StoreError> {
        let mut columns = LeaseColumns::default();
        for (id, lease) in leases {
            match lease {
                Some(lease) => {
                    columns.ids.push(id.as_str());
                    columns.documents.push(lease_text(lease)?);
                    columns.revisions.push(revision_to_sql(lease.revision));
                }
                None => columns.removed.push(id.as_str()),
            }
        }
        Ok(columns)
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.ids, &self.documents, &self.revisions]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_and_not_too_large() {
        let sizes = [1, STATEMENT_BYTES, 1, 1, STATEMENT_BYTES + 5, STATEMENT_BYTES - 1, 1, 1];
        let split: Vec<_> = parts(&sizes, |size| *size).collect();
        assert_eq!(split.concat(), sizes);
        assert_eq!(split.iter().map(|part| part.len()).collect::<Vec<_>>(), [1, 1, 2, 1, 2, 1]);
        assert_eq!(parts(&[0_u8; 0], |_| 1).count(), 0);
    }
}
