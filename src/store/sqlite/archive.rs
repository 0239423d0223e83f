//! The whole file at one moment; an empty file filled.

use rusqlite::params;

use super::history::{COLUMNS, change_row, horizon};
use super::{SqliteJournal, revision_to_sql};
use crate::registry::StoreId;
use crate::store::archive::{Archived, Part, change, head, not_empty};
use crate::store::{Batch, Journal as _, StoreError};

impl Archived for SqliteJournal {
    fn dump(&mut self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        // What others write meanwhile goes to the end of the log, where this transaction does not look.
        let reading = self.connection.unchecked_transaction()?;
        visit(Part::Head { snapshot: self.snapshot()?, horizon: horizon(&self.connection)? })?;
        let mut statement = self.connection.prepare(&format!("SELECT {COLUMNS} FROM changes ORDER BY revision"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(Part::Change(change_row(row)?))?;
        }
        reading.finish()?;
        Ok(())
    }

    fn restore(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let filled = self.fill(parts).and_then(|store| {
            self.connection.execute_batch("COMMIT")?;
            Ok(store)
        });
        match &filled {
            Ok(store) => self.store = store.clone(),
            Err(_) => self.roll_back(),
        }
        filled
    }
}

impl SqliteJournal {
    /// Writes all parts, within a transaction.
    fn fill(&self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        let holds: bool = self.connection.query_row(
            "SELECT head > 0 OR EXISTS (SELECT * FROM plugins) OR EXISTS (SELECT * FROM webhooks) FROM registry",
            [],
            |row| row.get(0),
        )?;
        if holds {
            return Err(not_empty());
        }
        let (snapshot, horizon) = head(parts)?;
        self.write(&Batch::whole(&snapshot.state))?;
        self.write_changes(parts.map(change))?;
        let store = StoreId::generate();
        self.connection.execute(
            "UPDATE registry SET store = ?1, horizon = ?2",
            params![store.as_str(), revision_to_sql(horizon)],
        )?;
        Ok(store)
    }
}
