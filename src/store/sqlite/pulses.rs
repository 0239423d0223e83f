//! Signs of life in the SQLite file, on a connection of their own that waits for no disk.
//!
//! `synchronous = NORMAL` in WAL mode syncs nothing at a commit, only at a checkpoint: once in about a thousand pages,
//! here and not in a request. What a power failure takes is the newest signs of life, and nothing else: the
//! journal's next commit syncs the log with all that is in it. `OFF` would not do: with it, a checkpoint made here
//! would not be on the disk when the log is begun anew.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::open::configure;
use crate::store::row::time_from_sql;
use crate::store::{Pulse, PulseKind, PulseStore, StoreError};

/// The signs of life in a SQLite file.
#[derive(Debug)]
pub(super) struct SqlitePulses {
    path: PathBuf,
    connection: Mutex<Link>,
}

/// The connection, which is made when it is first needed.
#[derive(Debug)]
enum Link {
    Unmade,
    Open(Connection),
    Closed,
}

impl SqlitePulses {
    pub(super) fn new(path: &Path) -> SqlitePulses {
        SqlitePulses { path: path.to_owned(), connection: Mutex::new(Link::Unmade) }
    }

    /// Closes the connection for good: the last one to close tidies up.
    pub(super) fn close(&self) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Link::Closed;
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut link = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*link, Link::Unmade) {
            *link = Link::Open(self.connect()?);
        }
        match &mut *link {
            Link::Open(connection) => work(connection),
            Link::Unmade | Link::Closed => Err(StoreError::refused("the store is closed")),
        }
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        configure(&connection)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL")?;
        Ok(connection)
    }
}

impl PulseStore for SqlitePulses {
    fn share(&self, pulses: &[Pulse]) -> Result<(), StoreError> {
        self.with(|connection| {
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

    fn shared(&self, after: Timestamp) -> Result<Vec<Pulse>, StoreError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT kind, name, at FROM pulses WHERE at > ?1")?;
            let mut rows = statement.query([after.as_microsecond()])?;
            let mut pulses = Vec::new();
            while let Some(row) = rows.next()? {
                // A newer version may know more kinds.
                let Some(kind) = PulseKind::from_name(&row.get::<_, String>(0)?) else { continue };
                pulses.push(Pulse { kind, name: row.get(1)?, at: time_from_sql(row.get(2)?)? });
            }
            Ok(pulses)
        })
    }

    fn forget(&self, before: Timestamp) -> Result<(), StoreError> {
        self.with(|connection| {
            connection.prepare_cached("DELETE FROM pulses WHERE at < ?1")?.execute([before.as_microsecond()])?;
            Ok(())
        })
    }
}
