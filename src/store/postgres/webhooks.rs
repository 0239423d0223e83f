//! Webhooks in the database, on a separate connection: progress of deliveries and batches of the writer must not wait
//! for each other.
//!
//! The leadership for deliveries is an advisory lock of that connection
//! (<https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS>). It needs no write, and ends with the
//! process. The server ends a silent or disconnected session sooner than a live replica would be silent.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::connection::{PostgresConnection, closed};
use super::url::PostgresUrl;
use crate::store::row::{revision_from_sql, revision_to_sql, time_from_sql};
use crate::store::webhooks::DeliveryProgress;
use crate::store::{Claim, KeptWebhook, StoreError, WebhookStore};

/// The key of the lock for leadership: "pRgW" in ASCII.
const LOCK: i64 = 0x7052_6757;

/// The first statements of this session. From version 14 on, the server ends a session that is silent for 15 s.
const SESSION: &str = "
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;
    SELECT set_config('idle_session_timeout', '15s', false)
        WHERE current_setting('server_version_num')::int >= 140000";

/// The webhooks in a database.
pub(super) struct PostgresWebhooks {
    url: PostgresUrl,
    state: Mutex<State>,
}

/// The connection, which is opened on first use, and whether it has the leadership.
enum State {
    Open { link: Option<Box<PostgresConnection>>, delivers: bool },
    Closed,
}

impl PostgresWebhooks {
    pub fn new(url: PostgresUrl) -> PostgresWebhooks {
        PostgresWebhooks { url, state: Mutex::new(State::Open { link: None, delivers: false }) }
    }

    /// Closes the connection for good.
    pub fn close(&self) {
        let before = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Closed);
        if let State::Open { link: Some(link), .. } = before {
            link.close();
        }
    }

    /// Runs idempotent work, with one retry.
    fn with<T>(&self, work: &impl AsyncFn(&Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with_right(&async |client, _| work(client).await).map(|(done, _)| done)
    }

    /// Runs idempotent work, with one retry; `work` receives whether this process has the leadership. Returns that too.
    fn with_right<T>(
        &self,
        work: &impl AsyncFn(&Client, bool) -> Result<T, StoreError>,
    ) -> Result<(T, bool), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Open { link: kept, delivers } = &mut *state else {
            return Err(StoreError::refused("the store is closed"));
        };
        if let Some(link) = kept.as_mut().filter(|link| link.stands()) {
            match link.run(async |client| work(client, *delivers).await) {
                // The server closed the idle connection: retry on a new one.
                Err(StoreError::Unreachable(_)) => {}
                done => return Ok((done?, *delivers)),
            }
        }
        *kept = None;
        *delivers = false;
        *kept = Some(Box::new(PostgresConnection::open(&self.url)?));
        let link = kept.as_mut().ok_or_else(closed)?;
        link.run(async |client| Ok(client.batch_execute(SESSION).await?))?;
        Ok((link.run(async |client| work(client, false).await)?, false))
    }

    fn note_right(&self, has_it: bool) {
        if let State::Open { delivers, .. } = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            *delivers = has_it;
        }
    }
}

impl WebhookStore for PostgresWebhooks {
    fn list(&self) -> Result<Vec<KeptWebhook>, StoreError> {
        self.with(&async |client| list(client).await)
    }

    fn put(&self, webhook: &KeptWebhook) -> Result<(), StoreError> {
        self.with(&async |client| put(client, webhook).await)
    }

    fn delete(&self, id: &str) -> Result<(), StoreError> {
        self.with(&async |client| {
            client.execute_typed("DELETE FROM webhooks WHERE id = $1", &[(&id, Type::TEXT)]).await?;
            Ok(())
        })
    }

    fn set_progress(&self, id: &str, progress: &DeliveryProgress) -> Result<(), StoreError> {
        let query = "UPDATE webhooks SET position = $2, failures = $3, first_failed_at = $4, next_attempt_at = $5,
                         last_error = $6, last_status = $7, last_delivered_at = $8, parked_at = $9 WHERE id = $1";
        let columns = ProgressColumns::of(progress);
        let id = id.to_owned();
        let written = self.with_right(&async |client, delivers| {
            if !delivers {
                return Err(StoreError::refused("another process has taken over the deliveries"));
            }
            client.execute_typed(query, &columns.values(&id)).await?;
            Ok(())
        });
        written.map(|_| ())
    }

    fn claim(&self) -> Result<Claim, StoreError> {
        let query = format!(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = {LOCK}
                                AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        );
        let asked = self.with_right(&async |client, delivers| {
            if delivers {
                let is_wanted = client.query_typed_one(&query, &[]).await?.try_get(0)?;
                return Ok(if is_wanted { Claim::Wanted } else { Claim::Held });
            }
            let row = client.query_typed_one(&format!("SELECT pg_try_advisory_lock({LOCK})"), &[]).await?;
            Ok(if row.try_get(0)? { Claim::New } else { Claim::Taken })
        });
        let claim = asked.map(|(claim, _)| claim);
        self.note_right(matches!(claim, Ok(Claim::New | Claim::Held | Claim::Wanted)));
        claim
    }

    fn insist(&self) -> Result<(), StoreError> {
        let asked = self.with_right(&async |client, delivers| {
            if !delivers {
                client.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
            }
            Ok(())
        });
        self.note_right(asked.is_ok());
        asked.map(|_| ())
    }

    fn release(&self) -> Result<(), StoreError> {
        let released = self.with_right(&async |client, delivers| {
            if delivers {
                client.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})")).await?;
            }
            Ok(())
        });
        self.note_right(false);
        released.map(|_| ())
    }
}

/// All webhooks, in the order of their ids.
pub(super) async fn list(client: &Client) -> Result<Vec<KeptWebhook>, StoreError> {
    let query = "SELECT id, document, secret, position, failures, first_failed_at, next_attempt_at, last_error,
                        last_status, last_delivered_at, parked_at FROM webhooks ORDER BY id COLLATE \"C\"";
    client.query_typed(query, &[]).await?.iter().map(webhook_of).collect()
}

/// Writes a webhook in one statement, so that readers never see it with the progress of another.
pub(super) async fn put(client: &Client, webhook: &KeptWebhook) -> Result<(), StoreError> {
    let KeptWebhook { id, document, secret, progress } = webhook;
    let query = "
        INSERT INTO webhooks (id, position, failures, first_failed_at, next_attempt_at, last_error, last_status,
                              last_delivered_at, parked_at, document, secret)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (id) DO UPDATE SET
            position = $2, failures = $3, first_failed_at = $4, next_attempt_at = $5, last_error = $6,
            last_status = $7, last_delivered_at = $8, parked_at = $9, document = $10, secret = $11";
    let columns = ProgressColumns::of(progress);
    let mut values = columns.values(id);
    values.extend([(document as &(dyn ToSql + Sync), Type::TEXT), (secret, Type::TEXT)]);
    client.execute_typed(query, &values).await?;
    Ok(())
}

/// The progress of a webhook, one value for each column.
struct ProgressColumns<'a> {
    position: i64,
    failures: i64,
    first_failed_at: Option<i64>,
    next_attempt_at: Option<i64>,
    last_error: Option<&'a str>,
    last_status: Option<i32>,
    last_delivered_at: Option<i64>,
    parked_at: Option<i64>,
}

impl<'a> ProgressColumns<'a> {
    fn of(progress: &'a DeliveryProgress) -> ProgressColumns<'a> {
        let micros = |time: Option<Timestamp>| time.map(Timestamp::as_microsecond);
        ProgressColumns {
            position: revision_to_sql(progress.position),
            failures: progress.failures.into(),
            first_failed_at: micros(progress.first_failed_at),
            next_attempt_at: micros(progress.next_attempt_at),
            last_error: progress.last_error.as_deref(),
            last_status: progress.last_status.map(i32::from),
            last_delivered_at: micros(progress.last_delivered_at),
            parked_at: micros(progress.parked_at),
        }
    }

    /// The values of the columns, after the id.
    fn values<'b>(&'b self, id: &'b String) -> Vec<(&'b (dyn ToSql + Sync), Type)> {
        vec![
            (id, Type::TEXT),
            (&self.position, Type::INT8),
            (&self.failures, Type::INT8),
            (&self.first_failed_at, Type::INT8),
            (&self.next_attempt_at, Type::INT8),
            (&self.last_error, Type::TEXT),
            (&self.last_status, Type::INT4),
            (&self.last_delivered_at, Type::INT8),
            (&self.parked_at, Type::INT8),
        ]
    }
}

fn webhook_of(row: &Row) -> Result<KeptWebhook, StoreError> {
    let time = |column| row.try_get::<_, Option<i64>>(column)?.map(time_from_sql).transpose();
    let damaged = |error| StoreError::unusable("a webhook in the store is damaged", error);
    let last_status = row.try_get::<_, Option<i32>>(8)?.map(u16::try_from).transpose().map_err(damaged)?;
    let progress = DeliveryProgress {
        position: revision_from_sql(row.try_get(3)?)?,
        failures: u32::try_from(row.try_get::<_, i64>(4)?).map_err(damaged)?,
        first_failed_at: time(5)?,
        next_attempt_at: time(6)?,
        last_error: row.try_get(7)?,
        last_status,
        last_delivered_at: time(9)?,
        parked_at: time(10)?,
    };
    Ok(KeptWebhook { id: row.try_get(0)?, document: row.try_get(1)?, secret: row.try_get(2)?, progress })
}
