//! Maps PostgreSQL's error codes (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        let Some(code) = error.code() else {
            // An error without a code comes from the connection, or from an unexpected value.
            let is_of_values = error.to_string().starts_with("error deserializing");
            return if is_of_values {
                StoreError::unusable("the store has a value of an unexpected type", error)
            } else {
                StoreError::Unreachable(Box::new(error))
            };
        };
        let class = code.code().get(..2).unwrap_or_default();
        match class {
            // Connection exceptions; too many connections; the server is shutting down or starting up.
            "08" | "57" if *code != SqlState::QUERY_CANCELED => StoreError::Unreachable(Box::new(error)),
            _ => match *code {
                SqlState::DISK_FULL => StoreError::Full(Box::new(error)),
                SqlState::TOO_MANY_CONNECTIONS | SqlState::OUT_OF_MEMORY | SqlState::READ_ONLY_SQL_TRANSACTION => {
                    StoreError::Unreachable(Box::new(error))
                }
                // The server ended the session: it was idle within a transaction for too long.
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => StoreError::Unreachable(Box::new(error)),
                SqlState::LOCK_NOT_AVAILABLE
                | SqlState::QUERY_CANCELED
                | SqlState::T_R_DEADLOCK_DETECTED
                | SqlState::T_R_SERIALIZATION_FAILURE => StoreError::Busy(Box::new(error)),
                SqlState::IO_ERROR => StoreError::Io(Box::new(error)),
                SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => {
                    StoreError::unusable("the database is damaged", error)
                }
                _ => StoreError::unusable("the database returned an unexpected error", error),
            },
        }
    }
}
