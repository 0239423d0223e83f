//! Heartbeats in the SQLite file, on a separate connection that waits for no disk.
//!
//! `synchronous = NORMAL` in WAL mode does not sync at a commit, only at a checkpoint: once in about a thousand pages.
//! That happens here and not in a request. A power failure loses only the newest heartbeats, because the journal's next
//! commit syncs the whole log. `OFF` would be wrong: a checkpoint by this connection would not be on the disk when the
//! log restarts.
//!
//! Each process shares all its new heartbeats as one row, and the table holds only the rows of the last minutes. With
//! one row for each heartbeat, thousands of renewals a second would be as many searches in a table.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::connection::SqliteConnection;
use super::files::StoreFiles;
use crate::store::StoreError;
use crate::store::heartbeats::{Heartbeat, HeartbeatKind, HeartbeatStore, KEPT};
use crate::store::row::time_from_sql;

/// A heartbeat in a row: kind, name, and time in microseconds since the Unix epoch.
type SharedHeartbeats<T> = (T, T, i64);

/// Deletes the rows older than a time.
const FORGET: &str = "DELETE FROM told_pulses WHERE at < ?1";

/// The heartbeats in a SQLite file.
#[derive(Debug)]
pub(super) struct SqliteHeartbeats {
    link: SqliteConnection,
    /// The [`data_version`] at the last read.
    read: AtomicI64,
}

impl SqliteHeartbeats {
    pub(super) fn new(path: &Path, files: Arc<StoreFiles>) -> SqliteHeartbeats {
        // No version is negative.
        SqliteHeartbeats {
            link: SqliteConnection::new(path, files, "PRAGMA synchronous = NORMAL"),
            read: AtomicI64::new(-1),
        }
    }

    /// Closes the connection for good.
    pub(super) fn close(&self) {
        self.link.close();
    }
}

impl HeartbeatStore for SqliteHeartbeats {
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError> {
        let Some(newest) = beats.iter().map(|pulse| pulse.at).max() else { return Ok(()) };
        let old = newest.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        let told: Vec<SharedHeartbeats<&str>> =
            beats.iter().map(|pulse| (pulse.kind.as_str(), &*pulse.name, pulse.at.as_microsecond())).collect();
        let text = serde_json::to_string(&told)
            .map_err(|error| StoreError::unusable("heartbeats cannot be written", error))?;
        self.link.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached("INSERT INTO told_pulses (at, pulses) VALUES (?1, ?2)")?
                .execute(params![newest.as_microsecond(), text])?;
            transaction.prepare_cached(FORGET)?.execute([old.as_microsecond()])?;
            Ok(transaction.commit()?)
        })
    }

    fn has_news(&self) -> Result<bool, StoreError> {
        self.link.with(|connection| Ok(data_version(connection)? != self.read.load(Ordering::Relaxed)))
    }

    fn shared(&self, after: Timestamp) -> Result<Vec<Heartbeat>, StoreError> {
        self.link.with(|connection| {
            // Before the read: a later write counts as new.
            let version = data_version(connection)?;
            let mut statement = connection.prepare_cached("SELECT pulses FROM told_pulses WHERE at > ?1")?;
            let mut rows = statement.query([after.as_microsecond()])?;
            let mut newest = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let told: Vec<SharedHeartbeats<String>> = serde_json::from_str(&row.get::<_, String>(0)?)
                    .map_err(|error| StoreError::unusable("the stored heartbeats are damaged", error))?;
                for (kind, name, at) in told {
                    // A newer version may have more kinds.
                    let Some(kind) = HeartbeatKind::from_name(&kind) else { continue };
                    let at = time_from_sql(at)?;
                    if at > after {
                        let known = newest.entry((kind, name)).or_insert(at);
                        *known = at.max(*known);
                    }
                }
            }
            self.read.store(version, Ordering::Relaxed);
            Ok(newest.into_iter().map(|((kind, name), at)| Heartbeat { kind, name, at }).collect())
        })
    }

    fn forget(&self, before: Timestamp) -> Result<(), StoreError> {
        self.link.with(|connection| {
            connection.prepare_cached(FORGET)?.execute([before.as_microsecond()])?;
            Ok(())
        })
    }
}

/// A number that changes whenever another connection, of any process, has written to the file
/// (<https://www.sqlite.org/pragma.html#pragma_data_version>).
fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}
