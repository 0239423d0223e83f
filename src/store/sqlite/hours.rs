//! The hours through which the registry has run: see [`crate::store::hours`].

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::store::StoreError;
use crate::store::hours::PassedHours;
use crate::store::row::{hour_to_sql, revision_from_sql, revision_to_sql};
use domain::Revision;

/// See [`crate::store::Journal::hour`].
pub(super) fn newest(connection: &Connection) -> Result<u64, StoreError> {
    let newest: i64 =
        connection.prepare_cached("SELECT coalesce(max(hour), 0) FROM hours")?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(newest).unwrap_or_default())
}

/// See [`crate::store::Journal::pass_hours`].
pub(super) fn pass(connection: &mut Connection, passed: &PassedHours) -> Result<u64, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = newest(&transaction)?;
    if known != passed.known {
        return Ok(known);
    }
    let head = revision_from_sql(transaction.query_row("SELECT head FROM registry", [], |row| row.get(0))?)?;
    for (hour, revision) in passed.rows(head) {
        transaction
            .prepare_cached("INSERT INTO hours (hour, revision) VALUES (?1, ?2)")?
            .execute(params![hour_to_sql(hour), revision_to_sql(revision)])?;
    }
    transaction.commit()?;
    Ok(passed.newest())
}

/// See [`crate::store::Journal::revision_at_hour`].
pub(super) fn revision_at(connection: &Connection, hour: u64) -> Result<Revision, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT revision FROM hours WHERE hour <= ?1 ORDER BY hour DESC LIMIT 1")?;
    let found = statement.query_row([hour_to_sql(hour)], |row| row.get(0)).optional()?;
    found.map_or(Ok(Revision::default()), revision_from_sql)
}
