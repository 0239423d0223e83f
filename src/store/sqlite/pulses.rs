//! Signs of life in the SQLite file, on a connection of their own that waits for no disk.
//!
//! `synchronous = NORMAL` in WAL mode syncs nothing at a commit, only at a checkpoint: once in about a thousand pages,
//! here and not in a request. What a power failure takes is the newest signs of life, and nothing else: the
//! journal's next commit syncs the log with all that is in it. `OFF` would not do: with it, a checkpoint made here
//! would not be on the disk when the log is begun anew.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::link::Link;
use crate::store::row::time_from_sql;
use crate::store::{Pulse, PulseKind, PulseStore, StoreError};

/// The signs of life in a SQLite file.
#[derive(Debug)]
pub(super) struct SqlitePulses {
    link: Link,
    /// [`data_version`] when they were last read.
    read: AtomicI64,
}

impl SqlitePulses {
    pub(super) fn new(path: &Path) -> SqlitePulses {
        // No version is negative.
        SqlitePulses { link: Link::new(path, "PRAGMA synchronous = NORMAL"), read: AtomicI64::new(-1) }
    }

    /// Closes the connection for good.
    pub(super) fn close(&self) {
        self.link.close();
    }
}

impl PulseStore for SqlitePulses {
    fn share(&self, pulses: &[Pulse]) -> Result<(), StoreError> {
        self.link.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut put = transaction.prepare_cached(
                    "INSERT INTO pulses (kind, name, at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (kind, name) DO UPDATE SET at = max(at, ?3)",
                )?;
                for Pulse { kind, name, at } in pulses {
                    put.execute(params![kind.as_str(), name, at.as_microsecond()])?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    fn has_news(&self) -> Result<bool, StoreError> {
        self.link.with(|connection| Ok(data_version(connection)? != self.read.load(Ordering::Relaxed)))
    }

    fn shared(&self, after: Timestamp) -> Result<Vec<Pulse>, StoreError> {
        self.link.with(|connection| {
            // Before they are read: what comes in between is news.
            let version = data_version(connection)?;
            let mut statement = connection.prepare_cached("SELECT kind, name, at FROM pulses WHERE at > ?1")?;
            let mut rows = statement.query([after.as_microsecond()])?;
            let mut pulses = Vec::new();
            while let Some(row) = rows.next()? {
                // A newer version may know more kinds.
                let Some(kind) = PulseKind::from_name(&row.get::<_, String>(0)?) else { continue };
                pulses.push(Pulse { kind, name: row.get(1)?, at: time_from_sql(row.get(2)?)? });
            }
            self.read.store(version, Ordering::Relaxed);
            Ok(pulses)
        })
    }

    fn forget(&self, before: Timestamp) -> Result<(), StoreError> {
        self.link.with(|connection| {
            connection.prepare_cached("DELETE FROM pulses WHERE at < ?1")?.execute([before.as_microsecond()])?;
            Ok(())
        })
    }
}

/// What is another number whenever another connection, of this process or of another one, has written to the file
/// (<https://www.sqlite.org/pragma.html#pragma_data_version>).
fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}
