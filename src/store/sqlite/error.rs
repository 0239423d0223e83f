//! Maps SQLite's result codes (<https://www.sqlite.org/rescode.html>).

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full(Box::new(error)),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(Box::new(error)),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => StoreError::Io(Box::new(error)),
            Some(ErrorCode::DatabaseCorrupt) => {
                StoreError::unusable("the store's file is damaged; restore it from a backup", error)
            }
            Some(ErrorCode::NotADatabase) => StoreError::unusable("the file is not a SQLite database", error),
            Some(ErrorCode::ReadOnly) => StoreError::unusable("the store's file cannot be written", error),
            _ => StoreError::unusable("SQLite returned an unexpected error", error),
        }
    }
}
