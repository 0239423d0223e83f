//! Tokens in the SQLite file, on a separate connection: authentication must not wait for the writer's batch.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::connection::SqliteConnection;
use super::files::StoreFiles;
use crate::store::tokens::{TokenRow, forgotten_before};
use crate::store::{Addition, StoreError, TokenStore};
use domain::access::token::MAX_TOKENS;
use domain::access::{Token, TokenId};

/// The tokens in a SQLite file.
#[derive(Debug)]
pub(super) struct SqliteTokens(SqliteConnection);

impl SqliteTokens {
    pub(super) fn new(path: &Path, files: Arc<StoreFiles>) -> SqliteTokens {
        SqliteTokens(SqliteConnection::new(path, files, ""))
    }

    /// Closes the connection for good.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl TokenStore for SqliteTokens {
    fn list(&self) -> Result<Vec<Token>, StoreError> {
        self.0.with(|connection| rows(connection, "created_at, id")?.into_iter().map(Token::try_from).collect())
    }

    fn add(&self, token: &Token) -> Result<Addition, StoreError> {
        let row = TokenRow::try_from(token)?;
        let old = forgotten_before(token.created_at).as_microsecond();
        self.0.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let in_force: i64 =
                transaction.query_row("SELECT count(*) FROM tokens WHERE revoked_at IS NULL", [], |row| row.get(0))?;
            if usize::try_from(in_force).unwrap_or(usize::MAX) >= MAX_TOKENS {
                return Ok(Addition::TooMany);
            }
            let taken = "SELECT 1 FROM tokens WHERE name = ?1 AND revoked_at IS NULL";
            if transaction.query_row(taken, [&row.name], |_| Ok(())).optional()?.is_some() {
                return Ok(Addition::NameTaken);
            }
            transaction.execute("DELETE FROM tokens WHERE revoked_at < ?1", [old])?;
            put(&transaction, &row)?;
            transaction.commit()?;
            Ok(Addition::Done)
        })
    }

    fn revoke(&self, id: &TokenId, at: Timestamp) -> Result<bool, StoreError> {
        self.0.with(|connection| {
            let revoke = "UPDATE tokens SET revoked_at = ?2, hash = NULL WHERE id = ?1 AND revoked_at IS NULL";
            Ok(connection.execute(revoke, params![id.as_str(), at.as_microsecond()])? > 0)
        })
    }

    fn note_uses(&self, uses: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
        self.0.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (id, at) in uses {
                transaction
                    .prepare_cached(
                        "UPDATE tokens SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?1",
                    )?
                    .execute(params![id.as_str(), at.as_microsecond()])?;
            }
            transaction.commit()?;
            Ok(())
        })
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.0.with(|connection| {
            connection.execute("DELETE FROM tokens", [])?;
            Ok(())
        })
    }
}

/// All tokens, in the given order.
pub(super) fn rows(connection: &Connection, order: &str) -> Result<Vec<TokenRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, name, role, scope, hash, created_at, created_by, expires_at, last_used_at, revoked_at
         FROM tokens ORDER BY {order}",
    ))?;
    let rows = statement.query_map([], token_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether there is any token, also a revoked one.
pub(super) fn are_there(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT EXISTS (SELECT * FROM tokens)", [], |row| row.get(0))?)
}

/// Writes a token, within a transaction.
pub(super) fn put(connection: &Connection, row: &TokenRow) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO tokens (id, name, role, scope, hash, created_at, created_by, expires_at, last_used_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            row.id,
            row.name,
            row.role,
            row.scope,
            row.hash,
            row.created_at,
            row.created_by,
            row.expires_at,
            row.last_used_at,
            row.revoked_at
        ],
    )?;
    Ok(())
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        scope: row.get(3)?,
        hash: row.get(4)?,
        created_at: row.get(5)?,
        created_by: row.get(6)?,
        expires_at: row.get(7)?,
        last_used_at: row.get(8)?,
        revoked_at: row.get(9)?,
    })
}
