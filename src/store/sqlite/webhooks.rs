//! Webhooks in the SQLite file, on a separate connection: progress of deliveries and batches of the writer must not
//! wait for each other.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::connection::SqliteConnection;
use super::files::StoreFiles;
use crate::store::row::{revision_from_sql, revision_to_sql, time_from_sql};
use crate::store::webhooks::DeliveryProgress;
use crate::store::{KeptWebhook, StoreError, WebhookStore};

/// The webhooks in a SQLite file.
#[derive(Debug)]
pub(super) struct SqliteWebhooks(SqliteConnection);

impl SqliteWebhooks {
    pub(super) fn new(path: &Path, files: Arc<StoreFiles>) -> SqliteWebhooks {
        SqliteWebhooks(SqliteConnection::new(path, files, ""))
    }

    /// Closes the connection for good.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl WebhookStore for SqliteWebhooks {
    fn list(&self) -> Result<Vec<KeptWebhook>, StoreError> {
        self.0.with(|connection| list(connection))
    }

    fn put(&self, webhook: &KeptWebhook) -> Result<(), StoreError> {
        self.0.with(|connection| {
            // One transaction, so that readers never see a webhook with the progress of another.
            let transaction = connection.unchecked_transaction()?;
            put(&transaction, webhook)?;
            transaction.commit()?;
            Ok(())
        })
    }

    fn delete(&self, id: &str) -> Result<(), StoreError> {
        self.0.with(|connection| {
            connection.prepare_cached("DELETE FROM webhooks WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
    }

    fn set_progress(&self, id: &str, progress: &DeliveryProgress) -> Result<(), StoreError> {
        self.0.with(|connection| write_progress(connection, id, progress))
    }
}

/// All webhooks, in the order of their ids.
pub(super) fn list(connection: &Connection) -> Result<Vec<KeptWebhook>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT id, document, secret, position, failures, first_failed_at, next_attempt_at, last_error,
                last_status, last_delivered_at, parked_at FROM webhooks ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        kept.push(webhook_of(row)?);
    }
    Ok(kept)
}

/// Writes a webhook, within a transaction.
pub(super) fn put(connection: &Connection, webhook: &KeptWebhook) -> Result<(), StoreError> {
    let KeptWebhook { id, document, secret, progress } = webhook;
    connection
        .prepare_cached(
            "INSERT INTO webhooks (id, document, secret, position, failures) VALUES (?1, ?2, ?3, ?4, 0)
             ON CONFLICT (id) DO UPDATE SET document = ?2, secret = ?3",
        )?
        .execute(params![id, document, secret, revision_to_sql(progress.position)])?;
    write_progress(connection, id, progress)
}

fn write_progress(connection: &Connection, id: &str, progress: &DeliveryProgress) -> Result<(), StoreError> {
    let micros = |time: Option<Timestamp>| time.map(Timestamp::as_microsecond);
    connection
        .prepare_cached(
            "UPDATE webhooks SET position = ?2, failures = ?3, first_failed_at = ?4, next_attempt_at = ?5,
                 last_error = ?6, last_status = ?7, last_delivered_at = ?8, parked_at = ?9 WHERE id = ?1",
        )?
        .execute(params![
            id,
            revision_to_sql(progress.position),
            progress.failures,
            micros(progress.first_failed_at),
            micros(progress.next_attempt_at),
            progress.last_error,
            progress.last_status,
            micros(progress.last_delivered_at),
            micros(progress.parked_at),
        ])?;
    Ok(())
}

fn webhook_of(row: &Row<'_>) -> Result<KeptWebhook, StoreError> {
    let time = |column| row.get::<_, Option<i64>>(column)?.map(time_from_sql).transpose();
    let progress = DeliveryProgress {
        position: revision_from_sql(row.get(3)?)?,
        failures: row.get(4)?,
        first_failed_at: time(5)?,
        next_attempt_at: time(6)?,
        last_error: row.get(7)?,
        last_status: row.get(8)?,
        last_delivered_at: time(9)?,
        parked_at: time(10)?,
    };
    Ok(KeptWebhook { id: row.get(0)?, document: row.get(1)?, secret: row.get(2)?, progress })
}
