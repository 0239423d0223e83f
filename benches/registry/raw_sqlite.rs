//! SQLite alone: one thread that inserts and commits documents, as durably as the registry does.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use rusqlite::Connection;
use tokio::time::Instant;

/// The name of this yardstick.
pub(crate) const NAME: &str = "/s, SQLite alone, a row a commit";

/// A database with one table of documents.
pub(crate) struct RawSqlite {
    connection: Connection,
    inserted: i64,
}

impl RawSqlite {
    /// Creates the database: write-ahead log, `synchronous=FULL`, otherwise the defaults.
    pub(crate) fn create(path: &Path) -> anyhow::Result<RawSqlite> {
        let connection = Connection::open(path)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        ensure!(mode == "wal", "the file system does not allow a write-ahead log");
        connection.execute_batch(
            "PRAGMA synchronous = FULL; CREATE TABLE documents (id INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT",
        )?;
        Ok(RawSqlite { connection, inserted: 0 })
    }

    /// Inserts and commits for `time`; returns the number a second.
    pub(crate) fn inserts_a_second(
        &mut self,
        time: Duration,
        document: &mut impl FnMut() -> String,
    ) -> anyhow::Result<f64> {
        let (begin, before) = (Instant::now(), self.inserted);
        let mut insert = self.connection.prepare_cached("INSERT INTO documents (id, document) VALUES (?1, ?2)")?;
        while begin.elapsed() < time {
            self.inserted += 1;
            // Each statement is a transaction.
            insert.execute((self.inserted, document()))?;
        }
        Ok((self.inserted - before) as f64 / begin.elapsed().as_secs_f64())
    }
}
