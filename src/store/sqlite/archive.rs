//! Dumps a whole file as of one moment, and fills or replaces one.

use rusqlite::{Connection, params};

use super::change_row::{COLUMNS, change_row, compact_revision};
use super::{SqliteJournal, idempotency, load, revision_to_sql, tokens, webhooks};
use crate::clock::new_identity;
use crate::store::archive::{Archived, Auxiliary, Part, change, head, next_auxiliary, not_empty};
use crate::store::{Batch, Journal as _, StoreError};
use domain::StoreId;

/// The tables that a restore replaces, and the heartbeats, which belong to the old content.
const EMPTY: &str = "
    DELETE FROM changes; DELETE FROM plugins; DELETE FROM categories; DELETE FROM meters; DELETE FROM budgets;
    DELETE FROM leases; DELETE FROM tokens; DELETE FROM webhooks; DELETE FROM answers; DELETE FROM heartbeats;
    DELETE FROM hours; DELETE FROM clock_steps";

impl Archived for SqliteJournal {
    fn dump(&mut self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let reading = self.connection.unchecked_transaction()?;
        dump(&self.connection, visit)?;
        reading.finish()?;
        Ok(())
    }

    fn restore(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        self.within_transaction(
            |journal| {
                if journal.holds_something()? { Err(not_empty()) } else { journal.fill(parts) }
            },
        )
    }

    fn replace(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        self.within_transaction(|journal| {
            journal.connection.execute_batch(EMPTY)?;
            journal.fill(parts)
        })
    }
}

/// Visits the whole database: a private copy, or the file itself within a transaction. Later writes go to the end of
/// the log, which the transaction does not read.
pub(super) fn dump(
    connection: &Connection,
    visit: &mut dyn FnMut(Part) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    visit(Part::Head { snapshot: load::snapshot(connection)?, compact_revision: compact_revision(connection)? })?;
    for token in tokens::rows(connection, "id")? {
        visit(Part::Auxiliary(Auxiliary::Token(token)))?;
    }
    for webhook in webhooks::list(connection)? {
        visit(Part::Auxiliary(Auxiliary::Webhook(webhook)))?;
    }
    idempotency::each(connection, &mut |answer| visit(Part::Auxiliary(Auxiliary::Answer(answer))))?;
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM changes ORDER BY revision"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        visit(Part::Change(change_row(row)?))?;
    }
    Ok(())
}

impl SqliteJournal {
    /// Does all of `work` or nothing. The store then has the identity that `work` returns.
    fn within_transaction(
        &mut self,
        work: impl FnOnce(&SqliteJournal) -> Result<StoreId, StoreError>,
    ) -> Result<StoreId, StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = work(self).and_then(|store| {
            self.connection.execute_batch("COMMIT")?;
            Ok(store)
        });
        match &done {
            Ok(store) => self.store = store.clone(),
            Err(_) => self.roll_back(),
        }
        done
    }

    fn holds_something(&self) -> Result<bool, StoreError> {
        let query =
            "SELECT head > 0 OR EXISTS (SELECT * FROM plugins) OR EXISTS (SELECT * FROM webhooks) FROM registry";
        Ok(self.connection.query_row(query, [], |row| row.get(0))?)
    }

    /// Writes all parts, within a transaction.
    fn fill(&self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        let (snapshot, compact_revision) = head(parts)?;
        self.write(&Batch::whole(&snapshot.state))?;
        let mut parts = parts.peekable();
        // An export has no tokens, so an import keeps the existing ones.
        let had_tokens = tokens::are_there(&self.connection)?;
        while let Some(beside) = next_auxiliary(&mut parts)? {
            match beside {
                Auxiliary::Token(_) if had_tokens => return Err(not_empty()),
                Auxiliary::Token(token) => tokens::put(&self.connection, &token)?,
                Auxiliary::Webhook(webhook) => webhooks::put(&self.connection, &webhook)?,
                Auxiliary::Answer(answer) => idempotency::keep(&self.connection, &[answer])?,
            }
        }
        self.write_changes(parts.map(change))?;
        let store = StoreId::new(new_identity());
        self.connection.execute(
            "UPDATE registry SET store = ?1, horizon = ?2",
            params![store.as_str(), revision_to_sql(compact_revision)],
        )?;
        Ok(store)
    }
}
