//! Heartbeats in the database, on a separate connection.
//!
//! The table is unlogged: writes to it are not in the write-ahead log, and no commit waits for a disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connection::{PostgresConnection, closed};
use super::url::PostgresUrl;
use crate::store::StoreError;
use crate::store::heartbeats::{Heartbeat, HeartbeatKind, HeartbeatStore};
use crate::store::row::time_from_sql;

/// The heartbeats in a database.
pub(super) struct PostgresHeartbeats {
    url: PostgresUrl,
    state: Mutex<State>,
}

/// The connection, which is opened on first use.
enum State {
    Open(Option<Box<PostgresConnection>>),
    Closed,
}

impl PostgresHeartbeats {
    pub fn new(url: PostgresUrl) -> PostgresHeartbeats {
        PostgresHeartbeats { url, state: Mutex::new(State::Open(None)) }
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
        *kept = Some(Box::new(PostgresConnection::open(&self.url)?));
        kept.as_mut().ok_or_else(closed)?.run(async |client| work(client).await)
    }
}

impl HeartbeatStore for PostgresHeartbeats {
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError> {
        // In a fixed order, so that two replicas do not deadlock; and each name once.
        let mut newest = BTreeMap::new();
        for Heartbeat { kind, name, at } in beats {
            let at = at.as_microsecond();
            let kept = newest.entry((kind.as_str(), name.as_str())).or_insert(at);
            *kept = at.max(*kept);
        }
        let (names, times): (Vec<_>, Vec<_>) = newest.into_iter().unzip();
        let (kinds, names): (Vec<_>, Vec<_>) = names.into_iter().unzip();
        let query = "INSERT INTO pulses (kind, name, at)
                     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
                     ON CONFLICT (kind, name) DO UPDATE SET at = excluded.at WHERE pulses.at < excluded.at";
        self.with(&async |client| {
            let values =
                [(&kinds as _, Type::TEXT_ARRAY), (&names as _, Type::TEXT_ARRAY), (&times as _, Type::INT8_ARRAY)];
            client.execute_typed(query, &values).await?;
            Ok(())
        })
    }

    fn has_news(&self) -> Result<bool, StoreError> {
        // A check would cost as much as reading.
        Ok(true)
    }

    fn shared(&self, after: Timestamp) -> Result<Vec<Heartbeat>, StoreError> {
        let after = after.as_microsecond();
        self.with(&async |client| {
            let query = "SELECT kind, name, at FROM pulses WHERE at > $1";
            let mut beats = Vec::new();
            for row in client.query_typed(query, &[(&after, Type::INT8)]).await? {
                // A newer version may have more kinds.
                let Some(kind) = HeartbeatKind::from_name(row.try_get(0)?) else { continue };
                beats.push(Heartbeat { kind, name: row.try_get(1)?, at: time_from_sql(row.try_get(2)?)? });
            }
            Ok(beats)
        })
    }

    fn forget(&self, before: Timestamp) -> Result<(), StoreError> {
        let before = before.as_microsecond();
        self.with(&async |client| {
            client.execute_typed("DELETE FROM pulses WHERE at < $1", &[(&before, Type::INT8)]).await?;
            Ok(())
        })
    }
}
