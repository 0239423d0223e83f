//! A separate connection beside the writer's, opened on first use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::files::{StoreFiles, sqlite_name};
use super::open::configure;
use crate::store::StoreError;

/// The connection, used by one thread at a time.
#[derive(Debug)]
pub(super) struct SqliteConnection {
    path: PathBuf,
    files: Arc<StoreFiles>,
    /// The additional first statements of this connection.
    begin: &'static str,
    state: Mutex<ConnectionState>,
}

#[derive(Debug)]
enum ConnectionState {
    Unmade,
    Open(Connection),
    Closed,
}

impl SqliteConnection {
    /// A connection to the file with these additional first statements.
    pub fn new(path: &Path, files: Arc<StoreFiles>, begin: &'static str) -> SqliteConnection {
        SqliteConnection { path: path.to_owned(), files, begin, state: Mutex::new(ConnectionState::Unmade) }
    }

    /// Closes the connection for good. The last connection to close checkpoints the log.
    pub fn close(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = ConnectionState::Closed;
    }

    /// Works with the connection.
    ///
    /// # Errors
    ///
    /// As `work`; also if the connection cannot be opened, or was closed, or if a file of the store was displaced.
    pub fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, ConnectionState::Unmade) {
            self.files.check()?;
            *state = ConnectionState::Open(self.connect()?);
        }
        match &mut *state {
            // This check comes after the work, so the store acknowledges no commit into a file that a restart would not
            // find.
            ConnectionState::Open(connection) => work(connection).and_then(|done| self.files.check().map(|()| done)),
            ConnectionState::Unmade | ConnectionState::Closed => Err(StoreError::refused("the store is closed")),
        }
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(sqlite_name(&self.path), flags)?;
        configure(&connection)?;
        connection.execute_batch(self.begin)?;
        Ok(connection)
    }
}
