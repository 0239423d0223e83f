//! What plugins have cost, and budgets, in the SQLite file: see [`crate::registry::cost`].

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::history::{COLUMNS, change_row};
use crate::plugin::{Name, PluginKey};
use crate::registry::cost::{Account, Books, Extent, Meter, MicroUsd, Spend};
use crate::registry::{ChangeKind, Record};
use crate::store::row::{revision_from_sql, time_from_sql};
use crate::store::{Batch, StoreError};

/// Writes what a batch has changed, within its transaction.
pub(super) fn write(connection: &Connection, batch: &Batch<'_>) -> Result<(), StoreError> {
    for (key, meter) in &batch.meters {
        write_meter(connection, key, meter)?;
    }
    for (id, account) in &batch.budgets {
        match account {
            Some(account) => connection
                .prepare_cached(
                    "INSERT INTO budgets (id, document) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET document = ?2",
                )?
                .execute([id, account.to_text().as_str()])?,
            None => connection.prepare_cached("DELETE FROM budgets WHERE id = ?1")?.execute([id])?,
        };
    }
    Ok(())
}

fn write_meter(connection: &Connection, key: &PluginKey, meter: &Meter) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO meters (category, name, low, high, began, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (category, name) DO UPDATE SET low = ?3, high = ?4, began = ?5, ended = ?6",
        )?
        .execute(params![
            key.category.as_str(),
            key.name.as_str(),
            meter.closed.low.to_string(),
            meter.closed.high.to_string(),
            meter.began.as_microsecond(),
            meter.ended.as_microsecond(),
        ])?;
    Ok(())
}

/// Returns true if and only if the file has books.
pub(super) fn are_there(connection: &Connection) -> Result<bool, StoreError> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meters'";
    Ok(connection.query_row(tables, [], |row| row.get::<_, i64>(0))? > 0)
}

/// Counts what plugins have cost, in a file from before there were books: as far as its journal goes back.
pub(super) fn recount(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare(&format!("SELECT {COLUMNS} FROM changes WHERE kind <> 'category.named' ORDER BY revision"))?;
    let mut rows = statement.query([])?;
    let mut books = Books::default();
    let mut standing: HashMap<String, Arc<Record>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let row = change_row(row)?;
        let after = row.record()?;
        let before = match &after {
            Some(record) => standing.insert(row.subject, Arc::clone(record)),
            None if row.kind == ChangeKind::PluginRemoved.as_str() => standing.remove(&row.subject),
            None => None,
        };
        if let Some(before) = before {
            let end = time_from_sql(row.at)?;
            let extent = Extent::of(&before, after.as_deref(), end);
            books.close(&before, extent, end, revision_from_sql(row.revision)?);
        }
    }
    for (key, meter) in books.meters() {
        write_meter(connection, key, meter)?;
    }
    Ok(())
}

/// Reads all of it.
pub(super) fn read(connection: &Connection) -> Result<Books, StoreError> {
    let mut statement = connection.prepare("SELECT category, name, low, high, began, ended FROM meters")?;
    let mut rows = statement.query([])?;
    let mut meters = Vec::new();
    while let Some(row) = rows.next()? {
        meters.push(meter_of(row)?);
    }
    let mut statement = connection.prepare("SELECT id, document FROM budgets")?;
    let mut rows = statement.query([])?;
    let mut budgets = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, document) = (row.get::<_, Box<str>>(0)?, row.get::<_, String>(1)?);
        let account = Account::of_text(&document)
            .map_err(|why| StoreError::unusable(format!("the budget {id} is damaged"), why))?;
        budgets.push((id, account));
    }
    Ok(Books::restore(meters, budgets))
}

fn meter_of(row: &Row<'_>) -> Result<(PluginKey, Meter), StoreError> {
    let name = |column| {
        let text: String = row.get(column)?;
        Name::new(&text)
            .map_err(|wrong| StoreError::refused(format!("the name of a plugin that has cost money {wrong}")))
    };
    let amount = |column| {
        let text: String = row.get(column)?;
        text.parse::<MicroUsd>().map_err(|error| StoreError::unusable("an amount in the store is damaged", error))
    };
    let key = PluginKey { category: name(0)?, name: name(1)? };
    let closed = Spend { low: amount(2)?, high: amount(3)? };
    Ok((key, Meter { closed, began: time_from_sql(row.get(4)?)?, ended: time_from_sql(row.get(5)?)? }))
}
