//! Heartbeats in the SQLite file, on a separate connection that waits for no disk.
//!
//! `synchronous = NORMAL` in WAL mode does not sync at a commit, only at a checkpoint: once in about a thousand pages.
//! That happens here and not in a request. A power failure loses only the newest heartbeats, because the journal's next
//! commit syncs the whole log. `OFF` would be wrong: a checkpoint by this connection would not be on the disk when the
//! log restarts.
//!
//! Each process shares all its new heartbeats as one row. With one row for each heartbeat, thousands of renewals a second
//! would be as many searches in a table. Rows are numbered by the file, so no clock decides what is new.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, TransactionBehavior, params};

use super::connection::SqliteConnection;
use super::files::StoreFiles;
use crate::clock::new_identity;
use crate::store::StoreError;
use crate::store::heartbeats::{Heartbeat, HeartbeatKind, HeartbeatStore};

/// A heartbeat in a row: kind and name.
type SharedHeartbeat<T> = (T, T);

/// The number of rows that are kept. A process shares one row a second and reads as often, so that this is enough for
/// ten processes of which one is paused.
const ROWS: i64 = 256;

/// No row was read yet.
const UNREAD: i64 = -1;

/// The heartbeats in a SQLite file.
#[derive(Debug)]
pub(super) struct SqliteHeartbeats {
    link: SqliteConnection,
    /// The name of this process among those on the file.
    process: String,
    /// The [`data_version`] at the last read.
    version: AtomicI64,
    /// The number of the last read row.
    read: AtomicI64,
}

impl SqliteHeartbeats {
    pub(super) fn new(path: &Path, files: Arc<StoreFiles>) -> SqliteHeartbeats {
        // No version is negative.
        SqliteHeartbeats {
            link: SqliteConnection::new(path, files, "PRAGMA synchronous = NORMAL"),
            process: new_identity().simple().to_string(),
            version: AtomicI64::new(-1),
            read: AtomicI64::new(UNREAD),
        }
    }

    /// Closes the connection for good.
    pub(super) fn close(&self) {
        self.link.close();
    }
}

impl HeartbeatStore for SqliteHeartbeats {
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError> {
        if beats.is_empty() {
            return Ok(());
        }
        let told: Vec<SharedHeartbeat<&str>> = beats.iter().map(|pulse| (pulse.kind.as_str(), &*pulse.name)).collect();
        let text = serde_json::to_string(&told)
            .map_err(|error| StoreError::unusable("heartbeats cannot be written", error))?;
        self.link.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached("INSERT INTO heartbeats (process, beats) VALUES (?1, ?2)")?
                .execute(params![self.process, text])?;
            let old = transaction.last_insert_rowid().saturating_sub(ROWS);
            transaction.prepare_cached("DELETE FROM heartbeats WHERE number <= ?1")?.execute([old])?;
            Ok(transaction.commit()?)
        })
    }

    fn has_news(&self) -> Result<bool, StoreError> {
        self.link.with(|connection| Ok(data_version(connection)? != self.version.load(Ordering::Relaxed)))
    }

    fn news(&self) -> Result<Vec<Heartbeat>, StoreError> {
        self.link.with(|connection| {
            // Before the read: a later write counts as new.
            let version = data_version(connection)?;
            let read = self.read.load(Ordering::Relaxed);
            let mut newest: i64 = connection
                .prepare_cached("SELECT coalesce(max(number), 0) FROM heartbeats")?
                .query_row([], |row| row.get(0))?;
            let mut told = BTreeSet::new();
            if read != UNREAD {
                let mut statement =
                    connection.prepare_cached("SELECT number, process, beats FROM heartbeats WHERE number > ?1")?;
                let mut rows = statement.query([read])?;
                while let Some(row) = rows.next()? {
                    newest = newest.max(row.get(0)?);
                    if row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)? != self.process {
                        told.extend(beats_of(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?);
                    }
                }
            }
            self.read.store(newest, Ordering::Relaxed);
            self.version.store(version, Ordering::Relaxed);
            Ok(told.into_iter().collect())
        })
    }

    fn forget(&self) -> Result<(), StoreError> {
        // Sharing deletes them.
        Ok(())
    }
}

/// The heartbeats of a row.
fn beats_of(text: &str) -> Result<impl Iterator<Item = Heartbeat>, StoreError> {
    let told: Vec<SharedHeartbeat<String>> =
        serde_json::from_str(text).map_err(|error| StoreError::unusable("the stored heartbeats are damaged", error))?;
    // A newer version may have more kinds.
    let known = told.into_iter().filter_map(|(kind, name)| Some((HeartbeatKind::from_name(&kind)?, name)));
    Ok(known.map(|(kind, name)| Heartbeat { kind, name }))
}

/// A number that changes whenever another connection, of any process, has written to the file
/// (<https://www.sqlite.org/pragma.html#pragma_data_version>).
fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}
