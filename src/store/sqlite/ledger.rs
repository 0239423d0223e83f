//! Accruals and budgets in the SQLite file: see [`domain::cost`].

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::change_row::{COLUMNS, change_row};
use crate::store::ledger_row::{AccrualRow, account_of, account_text};
use crate::store::row::{revision_from_sql, time_from_sql};
use crate::store::{Batch, StoreError};
use domain::change::ChangeKind;
use domain::cost::{Accrual, Ledger};
use domain::plugin::PluginKey;
use domain::record::Record;

/// Writes the changed accruals and budgets of a batch, within its transaction.
pub(super) fn write(connection: &Connection, batch: &Batch<'_>) -> Result<(), StoreError> {
    for (key, accrual) in &batch.accruals {
        write_meter(connection, key, accrual)?;
    }
    for (id, account) in &batch.budgets {
        match account_text(account.as_ref()) {
            Some(document) => connection
                .prepare_cached(
                    "INSERT INTO budgets (id, document) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET document = ?2",
                )?
                .execute([&**id, document.as_str()])?,
            None => connection.prepare_cached("DELETE FROM budgets WHERE id = ?1")?.execute([id])?,
        };
    }
    Ok(())
}

fn write_meter(connection: &Connection, key: &PluginKey, accrual: &Accrual) -> Result<(), StoreError> {
    let AccrualRow { category, name, low, high, began, ended } = AccrualRow::from((key, accrual));
    connection
        .prepare_cached(
            "INSERT INTO meters (category, name, low, high, began, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (category, name) DO UPDATE SET low = ?3, high = ?4, began = ?5, ended = ?6",
        )?
        .execute(params![category, name, low, high, began, ended])?;
    Ok(())
}

/// Returns true if and only if the file has a ledger.
pub(super) fn are_there(connection: &Connection) -> Result<bool, StoreError> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meters'";
    Ok(connection.query_row(tables, [], |row| row.get::<_, i64>(0))? > 0)
}

/// Computes the accruals for a file from before the ledger, as far as its journal goes back.
pub(super) fn recount(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare(&format!("SELECT {COLUMNS} FROM changes WHERE kind <> 'category.named' ORDER BY revision"))?;
    let mut rows = statement.query([])?;
    let mut ledger = Ledger::default();
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
            ledger.close(&before, after.as_deref(), end, revision_from_sql(row.revision)?);
        }
    }
    for (key, accrual) in ledger.accruals() {
        write_meter(connection, key, accrual)?;
    }
    Ok(())
}

/// Reads the whole ledger.
pub(super) fn read(connection: &Connection) -> Result<Ledger, StoreError> {
    let mut statement = connection.prepare("SELECT category, name, low, high, began, ended FROM meters")?;
    let mut rows = statement.query([])?;
    let mut accruals = Vec::new();
    while let Some(row) = rows.next()? {
        let row = AccrualRow {
            category: row.get(0)?,
            name: row.get(1)?,
            low: row.get(2)?,
            high: row.get(3)?,
            began: row.get(4)?,
            ended: row.get(5)?,
        };
        accruals.push(row.try_into()?);
    }
    let mut statement = connection.prepare("SELECT id, document FROM budgets")?;
    let mut rows = statement.query([])?;
    let mut budgets = Vec::new();
    while let Some(row) = rows.next()? {
        budgets.push(account_of(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?);
    }
    Ok(Ledger::restore(accruals, budgets))
}
