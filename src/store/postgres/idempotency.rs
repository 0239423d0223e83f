//! Stored responses to idempotent requests.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::store::StoreError;
use crate::store::row::{OLDEST_ANSWERS, answer_bytes, answer_of, answer_text, hour_to_sql};
use domain::command::answer_quota::{AnswerQuota, AnswerShares};
use domain::command::idempotency::KeptAnswer;

/// See [`crate::store::Journal::answers`].
pub(super) async fn find(client: &Client, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
    let query = "SELECT key, fingerprint, at, answer, hour FROM answers WHERE key = ANY($1)";
    let rows = client.query_typed(query, &[(&keys, Type::TEXT_ARRAY)]).await?;
    rows.iter()
        .map(|row| answer_of(row.try_get(0)?, row.try_get(1)?, (row.try_get(2)?, row.try_get(4)?), row.try_get(3)?))
        .collect()
}

/// At most `limit` stored responses whose keys come after `after`, in the order of keys.
pub(super) async fn page(client: &Client, after: &str, limit: i64) -> Result<Vec<KeptAnswer>, StoreError> {
    let query = "SELECT key, fingerprint, at, answer, hour FROM answers
                 WHERE key COLLATE \"C\" > $1 ORDER BY key COLLATE \"C\" LIMIT $2";
    let rows = client.query_typed(query, &[(&after, Type::TEXT), (&limit, Type::INT8)]).await?;
    rows.iter()
        .map(|row| answer_of(row.try_get(0)?, row.try_get(1)?, (row.try_get(2)?, row.try_get(4)?), row.try_get(3)?))
        .collect()
}

/// See [`crate::store::Journal::forget_answers`].
pub(super) async fn forget(client: &Client, before: u64, limit: usize) -> Result<(), StoreError> {
    let (before, limit) = (hour_to_sql(before), i64::try_from(limit).unwrap_or(i64::MAX));
    let query = "DELETE FROM answers WHERE key IN (SELECT key FROM answers WHERE hour < $1 LIMIT $2)";
    client.execute_typed(query, &[(&before, Type::INT8), (&limit, Type::INT8)]).await?;
    Ok(())
}

/// See [`crate::store::Journal::bound_answers`].
pub(super) async fn bound(client: &Client, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
    let sums = "SELECT token, sum(bytes)::bigint FROM answers GROUP BY token";
    let mut shares = AnswerShares::new();
    for row in client.query_typed(sums, &[]).await? {
        shares.insert(row.try_get::<_, &str>(0)?.into(), row.try_get::<_, i64>(1)?.unsigned_abs());
    }
    let mut dropped = 0;
    for (token, surplus) in quota.surplus(&shares) {
        let (surplus, limit) = (i64::try_from(surplus).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&&*token, Type::TEXT), (&limit, Type::INT8), (&surplus, Type::INT8)];
        dropped += client.execute_typed(OLDEST_ANSWERS, &values).await?;
    }
    Ok(usize::try_from(dropped).unwrap_or(usize::MAX))
}

/// Stored responses, one array for each column.
#[derive(Default)]
pub(super) struct AnswerColumns<'a> {
    keys: Vec<&'a str>,
    fingerprints: Vec<&'a str>,
    times: Vec<i64>,
    answers: Vec<String>,
    hours: Vec<i64>,
    tokens: Vec<&'a str>,
    bytes: Vec<i64>,
}

impl<'a> AnswerColumns<'a> {
    pub fn of(kept: &'a [KeptAnswer]) -> Result<AnswerColumns<'a>, StoreError> {
        let mut columns = AnswerColumns::default();
        for one in kept {
            let KeptAnswer { key, fingerprint, at, hour, answer } = one;
            let text = answer_text(answer)?;
            columns.tokens.push(one.token());
            columns.bytes.push(answer_bytes(one, &text));
            columns.keys.push(key);
            columns.fingerprints.push(fingerprint);
            columns.times.push(at.as_microsecond());
            columns.answers.push(text);
            columns.hours.push(hour_to_sql(*hour));
        }
        Ok(columns)
    }

    pub fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.keys, &self.fingerprints, &self.times, &self.answers, &self.hours, &self.tokens, &self.bytes]
    }
}
