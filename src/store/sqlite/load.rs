//! Loads the state of a file as of its head.

use rusqlite::{Connection, Row};

use super::ledger;
use crate::store::StoreError;
use crate::store::row::{
    config_of, holdings_of, lease_of, plugin_of, revision_from_sql, revision_to_sql, time_from_sql,
};
use domain::plugin::Name;
use domain::record::Record;
use domain::{Category, Lease, Snapshot, State, StoreId};

/// The state as of the head. Called within a transaction, so that the parts are consistent.
pub(super) fn snapshot(connection: &Connection) -> Result<Snapshot, StoreError> {
    let (store, head, head_at) = connection.query_row("SELECT store, head, head_at FROM registry", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
    })?;
    let compact_revision = revision_to_sql(super::change_row::compact_revision(connection)?);
    let (count, newest): (i64, i64) = connection.query_row(
        "SELECT count(*), coalesce(max(revision), ?1) FROM changes WHERE revision > ?1",
        [compact_revision],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if newest != head || count != head - compact_revision {
        return Err(StoreError::refused(format!(
            "the store is damaged: its head is {head}, but after revision {compact_revision} it holds {count} changes up to {newest}",
        )));
    }
    let state = State::restore(
        revision_from_sql(head)?,
        time_from_sql(head_at)?,
        plugins(connection)?,
        categories(connection)?,
    )
    .with_ledger(ledger::read(connection)?)
    .with_leases(leases(connection)?);
    Ok(Snapshot { store: StoreId::kept(&store), state })
}

fn plugins(connection: &Connection) -> Result<Vec<Record>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT document, config, revision, created_at, updated_at, observed FROM plugins ORDER BY unique_id",
    )?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record_of(row)?);
    }
    Ok(records)
}

fn categories(connection: &Connection) -> Result<Vec<(Name, Category)>, StoreError> {
    let mut statement = connection.prepare("SELECT name, display_name, revision FROM categories")?;
    let mut rows = statement.query([])?;
    let mut categories = Vec::new();
    while let Some(row) = rows.next()? {
        let name = Name::new(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
            .map_err(|wrong| StoreError::refused(format!("a category's name in the store {wrong}")))?;
        let display_name = row.get::<_, Box<str>>(1)?;
        categories.push((name, Category { display_name, revision: revision_from_sql(row.get(2)?)? }));
    }
    Ok(categories)
}

fn leases(connection: &Connection) -> Result<Vec<Lease>, StoreError> {
    let mut statement = connection.prepare("SELECT id, document, revision FROM leases")?;
    let mut rows = statement.query([])?;
    let mut leases = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        leases.push(lease_of(text(0)?, text(1)?, row.get(2)?)?);
    }
    Ok(leases)
}

fn record_of(row: &Row<'_>) -> Result<Record, StoreError> {
    let plugin = plugin_of(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
    let config = match row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        Some(config) => Some(config_of(config)?),
        None => None,
    };
    let revision = revision_from_sql(row.get(2)?)?;
    let times = (time_from_sql(row.get(3)?)?, time_from_sql(row.get(4)?)?);
    let observed = holdings_of(row.get_ref(5)?.as_str_or_null().map_err(rusqlite::Error::from)?)?;
    Ok(Record::holding(plugin.into(), config, revision, times, observed))
}
