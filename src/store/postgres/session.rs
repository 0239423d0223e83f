//! The writer's connection, with the prepared statements of a batch.

use tokio_postgres::{Client, Row, Statement};

use super::change_row::COLUMNS;
use super::connection::PostgresConnection;
use super::url::PostgresUrl;
use crate::store::StoreError;
use crate::store::head::Head;
use crate::store::row::{revision_from_sql, time_from_sql};

/// Each statement is planned once, because planning takes as long as writing a few rows. A plan made for empty tables
/// would scan whole tables forever; all statements find their rows by a key.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";

/// A connection that can write batches.
pub(super) struct Session {
    pub link: PostgresConnection,
    /// The server process of the connection.
    pub process: i32,
    pub statements: Statements,
}

/// The statements of a batch. Preparing them takes one round trip for each connection.
pub(super) struct Statements {
    pub read_head: Statement,
    pub lock_head: Statement,
    /// The changes from a revision on, including it.
    pub changes_from: Statement,
    pub insert_changes: Statement,
    pub put_plugins: Statement,
    pub remove_plugins: Statement,
    pub put_categories: Statement,
    pub remove_categories: Statement,
    pub put_leases: Statement,
    pub remove_leases: Statement,
    pub keep_answers: Statement,
    pub advance: Statement,
}

impl Session {
    /// Connects, and migrates the schema.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, or is not suitable.
    pub fn open(url: &PostgresUrl) -> Result<Session, StoreError> {
        let mut link = PostgresConnection::open(url)?;
        let (process, statements) = link.run(async |client| {
            super::migrate::migrate(client).await?;
            client.batch_execute(PLANS).await?;
            let process = client.query_typed_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
            Ok((process, Statements::prepare(client).await?))
        })?;
        Ok(Session { link, process, statements })
    }
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Statements, StoreError> {
        Ok(Statements {
            read_head: client.prepare("SELECT store, head, head_at, horizon FROM registry WHERE id = 1").await?,
            lock_head: client
                .prepare("SELECT store, head, head_at, horizon FROM registry WHERE id = 1 FOR UPDATE")
                .await?,
            changes_from: client.prepare(&format!(
                "SELECT {COLUMNS} FROM changes WHERE revision >= $1 ORDER BY revision",
            )).await?,
            insert_changes: client.prepare(
                "INSERT INTO changes (revision, at, kind, subject, request_id, document, detail, created_at, observed,
                                      principal, reason)
                 SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[],
                                      $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[])",
            ).await?,
            put_plugins: client.prepare(
                "INSERT INTO plugins (unique_id, document, config, revision, created_at, updated_at, observed)
                 SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                                      $7::text[])
                 ON CONFLICT (unique_id) DO UPDATE SET
                     document = excluded.document, config = excluded.config, revision = excluded.revision,
                     created_at = excluded.created_at, updated_at = excluded.updated_at, observed = excluded.observed",
            ).await?,
            remove_plugins: client.prepare("DELETE FROM plugins WHERE unique_id = ANY($1::text[])").await?,
            put_categories: client.prepare(
                "INSERT INTO categories (name, display_name, revision)
                 SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
                 ON CONFLICT (name) DO UPDATE SET display_name = excluded.display_name, revision = excluded.revision",
            ).await?,
            remove_categories: client.prepare("DELETE FROM categories WHERE name = ANY($1::text[])").await?,
            put_leases: client.prepare(
                "INSERT INTO leases (id, document, revision)
                 SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
                 ON CONFLICT (id) DO UPDATE SET document = excluded.document, revision = excluded.revision",
            ).await?,
            remove_leases: client.prepare("DELETE FROM leases WHERE id = ANY($1::text[])").await?,
            keep_answers: client.prepare(
                "INSERT INTO answers (key, fingerprint, at, answer, hour, token, bytes)
                 SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[],
                                      $7::bigint[])
                 ON CONFLICT (key) DO UPDATE SET
                     fingerprint = excluded.fingerprint, at = excluded.at, answer = excluded.answer,
                     hour = excluded.hour, bytes = excluded.bytes",
            ).await?,
            advance: client.prepare("UPDATE registry SET head = $1, head_at = $2 WHERE id = 1").await?,
        })
    }
}

/// The head from a row with its columns.
pub(super) fn head_of(row: &Row) -> Result<Head, StoreError> {
    Ok(Head {
        store: row.try_get(0)?,
        revision: revision_from_sql(row.try_get(1)?)?,
        at: time_from_sql(row.try_get(2)?)?,
        compact_revision: revision_from_sql(row.try_get(3)?)?,
    })
}
