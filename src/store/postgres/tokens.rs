//! Tokens in the database, on a separate connection.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::connection::{PostgresConnection, closed};
use super::migrate::migrate;
use super::url::PostgresUrl;
use crate::store::tokens::{TokenRow, forgotten_before};
use crate::store::{Addition, StoreError, TokenStore};
use domain::access::token::MAX_TOKENS;
use domain::access::{Token, TokenId};

/// The tokens in a database.
pub(super) struct PostgresTokens {
    url: PostgresUrl,
    state: Mutex<State>,
}

/// The connection, which is opened on first use.
enum State {
    Open(Option<Box<PostgresConnection>>),
    Closed,
}

impl PostgresTokens {
    pub fn new(url: PostgresUrl) -> PostgresTokens {
        PostgresTokens { url, state: Mutex::new(State::Open(None)) }
    }

    /// Closes the connection for good.
    pub fn close(&self) {
        let before = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Closed);
        if let State::Open(Some(link)) = before {
            link.close();
        }
    }

    /// Runs idempotent work, with one retry.
    fn with<T>(&self, work: &impl AsyncFn(&Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Open(kept) = &mut *state else { return Err(StoreError::refused("the store is closed")) };
        if let Some(link) = kept.as_mut().filter(|link| link.stands()) {
            match link.run(async |client| work(client).await) {
                // The server closed the idle connection: retry on a new one.
                Err(StoreError::Unreachable(_)) => {}
                done => return done,
            }
        }
        *kept = None;
        let mut link = Box::new(PostgresConnection::open(&self.url)?);
        // An operator may create the first token before any replica has run.
        link.run(async |client| migrate(client).await)?;
        *kept = Some(link);
        kept.as_mut().ok_or_else(closed)?.run(async |client| work(client).await)
    }
}

impl TokenStore for PostgresTokens {
    fn list(&self) -> Result<Vec<Token>, StoreError> {
        self.with(&async |client| rows(client, "created_at, id").await?.into_iter().map(Token::try_from).collect())
    }

    fn add(&self, token: &Token) -> Result<Addition, StoreError> {
        let row = TokenRow::try_from(token)?;
        let old = forgotten_before(token.created_at).as_microsecond();
        self.with(&async |client| {
            // Two replicas that count at the same time must not both find a free place.
            client.batch_execute("BEGIN; LOCK TABLE tokens IN SHARE ROW EXCLUSIVE MODE").await?;
            let added = add(client, &row, old).await;
            client.batch_execute(if matches!(added, Ok(Addition::Done)) { "COMMIT" } else { "ROLLBACK" }).await?;
            added
        })
    }

    fn revoke(&self, id: &TokenId, at: Timestamp) -> Result<bool, StoreError> {
        let (id, at) = (id.as_str(), at.as_microsecond());
        self.with(&async |client| {
            // A retry after a lost answer succeeds.
            let query = "UPDATE tokens SET revoked_at = $2, hash = NULL
                         WHERE id = $1 AND (revoked_at IS NULL OR revoked_at = $2)";
            Ok(client.execute_typed(query, &[(&id, Type::TEXT), (&at, Type::INT8)]).await? > 0)
        })
    }

    fn note_uses(&self, uses: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
        let mut uses: Vec<_> = uses.iter().map(|(id, at)| (id.as_str(), at.as_microsecond())).collect();
        // In a fixed order, so that two replicas do not deadlock.
        uses.sort_unstable();
        let (ids, times): (Vec<_>, Vec<_>) = uses.into_iter().unzip();
        let query = "UPDATE tokens SET last_used_at = greatest(tokens.last_used_at, used.at)
                     FROM unnest($1::text[], $2::bigint[]) AS used (id, at) WHERE tokens.id = used.id";
        self.with(&async |client| {
            client.execute_typed(query, &[(&ids, Type::TEXT_ARRAY), (&times, Type::INT8_ARRAY)]).await?;
            Ok(())
        })
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.with(&async |client| Ok(client.batch_execute("DELETE FROM tokens").await?))
    }
}

/// Adds a token, within a transaction that has locked the table.
async fn add(client: &Client, row: &TokenRow, old: i64) -> Result<Addition, StoreError> {
    let query = "SELECT count(*) FILTER (WHERE id <> $2), count(*) FILTER (WHERE id <> $2 AND name = $1),
                        count(*) FILTER (WHERE id = $2) FROM tokens WHERE revoked_at IS NULL";
    let found = client.query_typed_one(query, &[(&row.name, Type::TEXT), (&row.id, Type::TEXT)]).await?;
    let (in_force, of_name, of_id): (i64, i64, i64) = (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
    if of_id > 0 {
        // A retry after a lost answer: the first attempt added the token.
        return Ok(Addition::Done);
    }
    if usize::try_from(in_force).unwrap_or(usize::MAX) >= MAX_TOKENS {
        return Ok(Addition::TooMany);
    }
    if of_name > 0 {
        return Ok(Addition::NameTaken);
    }
    client.execute_typed("DELETE FROM tokens WHERE revoked_at < $1", &[(&old, Type::INT8)]).await?;
    put(client, row).await?;
    Ok(Addition::Done)
}

/// All tokens, in the given order.
pub(super) async fn rows(client: &Client, order: &str) -> Result<Vec<TokenRow>, StoreError> {
    let query = format!(
        "SELECT id, name, role, scope, hash, created_at, created_by, expires_at, last_used_at, revoked_at
         FROM tokens ORDER BY {order}"
    );
    client.query_typed(&query, &[]).await?.iter().map(token_row).collect()
}

/// Whether there is any token, also a revoked one.
pub(super) async fn are_there(client: &Client) -> Result<bool, StoreError> {
    Ok(client.query_typed_one("SELECT EXISTS (SELECT FROM tokens)", &[]).await?.try_get(0)?)
}

/// Writes a token, within a transaction.
pub(super) async fn put(client: &Client, row: &TokenRow) -> Result<(), StoreError> {
    let values: [(&(dyn ToSql + Sync), Type); 10] = [
        (&row.id, Type::TEXT),
        (&row.name, Type::TEXT),
        (&row.role, Type::TEXT),
        (&row.scope, Type::TEXT),
        (&row.hash, Type::TEXT),
        (&row.created_at, Type::INT8),
        (&row.created_by, Type::TEXT),
        (&row.expires_at, Type::INT8),
        (&row.last_used_at, Type::INT8),
        (&row.revoked_at, Type::INT8),
    ];
    let query = "INSERT INTO tokens (id, name, role, scope, hash, created_at, created_by, expires_at, last_used_at,
                                     revoked_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    client.execute_typed(query, &values).await?;
    Ok(())
}

fn token_row(row: &Row) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        role: row.try_get(2)?,
        scope: row.try_get(3)?,
        hash: row.try_get(4)?,
        created_at: row.try_get(5)?,
        created_by: row.try_get(6)?,
        expires_at: row.try_get(7)?,
        last_used_at: row.try_get(8)?,
        revoked_at: row.try_get(9)?,
    })
}
