//! Accruals and budgets: see [`domain::cost`].

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use crate::store::ledger_row::{AccrualRow, account_of, account_text};
use crate::store::{Batch, StoreError};
use domain::cost::Ledger;

/// The changed accruals and budgets of a batch, one array for each column.
#[derive(Default)]
pub(super) struct LedgerColumns {
    categories: Vec<String>,
    names: Vec<String>,
    lows: Vec<String>,
    highs: Vec<String>,
    began: Vec<i64>,
    ended: Vec<i64>,
    ids: Vec<String>,
    documents: Vec<String>,
    removed: Vec<String>,
}

impl LedgerColumns {
    pub fn of(batch: &Batch<'_>) -> LedgerColumns {
        let mut columns = LedgerColumns::default();
        for (key, accrual) in &batch.accruals {
            let row = AccrualRow::from((key, accrual));
            columns.categories.push(row.category);
            columns.names.push(row.name);
            columns.lows.push(row.low);
            columns.highs.push(row.high);
            columns.began.push(row.began);
            columns.ended.push(row.ended);
        }
        for (id, account) in &batch.budgets {
            match account_text(account.as_ref()) {
                Some(document) => {
                    columns.ids.push(id.to_string());
                    columns.documents.push(document);
                }
                None => columns.removed.push(id.to_string()),
            }
        }
        columns
    }

    /// Adds the statements for these rows, to send them with the others of the batch.
    pub fn send<'a>(&'a self, client: &'a Client, sent: &mut Vec<BoxFuture<'a, Result<(), Error>>>) {
        if !self.names.is_empty() {
            let put = "INSERT INTO meters (category, name, low, high, began, ended)
                       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
                       ON CONFLICT (category, name) DO UPDATE SET
                           low = excluded.low, high = excluded.high, began = excluded.began, ended = excluded.ended";
            let texts = [&self.categories, &self.names, &self.lows, &self.highs];
            let mut values: Vec<_> = texts.into_iter().map(text_array).collect();
            values.extend([&self.began, &self.ended].map(|times| (times as &(dyn ToSql + Sync), Type::INT8_ARRAY)));
            sent.push(execute(client, put, values));
        }
        if !self.ids.is_empty() {
            let put = "INSERT INTO budgets (id, document) SELECT * FROM unnest($1::text[], $2::text[])
                       ON CONFLICT (id) DO UPDATE SET document = excluded.document";
            sent.push(execute(client, put, vec![text_array(&self.ids), text_array(&self.documents)]));
        }
        if !self.removed.is_empty() {
            let remove = "DELETE FROM budgets WHERE id = ANY($1::text[])";
            sent.push(execute(client, remove, vec![text_array(&self.removed)]));
        }
    }
}

/// A value and its type. With the type, the statement needs no preparation, which would be another round trip.
type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

fn text_array(texts: &Vec<String>) -> Typed<'_> {
    (texts, Type::TEXT_ARRAY)
}

/// Sends a statement when it is first polled.
fn execute<'a>(
    client: &'a Client,
    statement: &'static str,
    values: Vec<Typed<'a>>,
) -> BoxFuture<'a, Result<(), Error>> {
    async move { client.execute_typed(statement, &values).await.map(drop) }.boxed()
}

/// Reads the whole ledger.
pub(super) async fn read(client: &Client) -> Result<Ledger, StoreError> {
    let mut accruals = Vec::new();
    for row in client.query_typed("SELECT category, name, low, high, began, ended FROM meters", &[]).await? {
        let row = AccrualRow {
            category: row.try_get(0)?,
            name: row.try_get(1)?,
            low: row.try_get(2)?,
            high: row.try_get(3)?,
            began: row.try_get(4)?,
            ended: row.try_get(5)?,
        };
        accruals.push(row.try_into()?);
    }
    let mut budgets = Vec::new();
    for row in client.query_typed("SELECT id, document FROM budgets", &[]).await? {
        budgets.push(account_of(row.try_get(0)?, row.try_get(1)?)?);
    }
    Ok(Ledger::restore(accruals, budgets))
}
