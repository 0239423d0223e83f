//! Stored responses to idempotent requests.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::StoreError;
use crate::store::row::{OLDEST_ANSWERS, answer_bytes, answer_of, answer_text, hour_to_sql};
use domain::command::answer_quota::{AnswerQuota, AnswerShares};
use domain::command::idempotency::KeptAnswer;

/// See [`crate::store::Journal::answers`].
pub(super) fn find(connection: &Connection, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT fingerprint, at, answer, hour FROM answers WHERE key = ?1")?;
    let mut found = Vec::new();
    for key in keys {
        let row = statement
            .query_row([key], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?)));
        if let Some((fingerprint, at, answer, hour)) = row.optional()? {
            found.push(answer_of(key, &fingerprint, (at, hour), &answer)?);
        }
    }
    Ok(found)
}

/// Visits all stored responses, in the order of keys.
pub(super) fn each(
    connection: &Connection,
    show: &mut dyn FnMut(KeptAnswer) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT key, fingerprint, at, answer, hour FROM answers ORDER BY key")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        show(answer_of(text(0)?, text(1)?, (row.get(2)?, row.get(4)?), text(3)?)?)?;
    }
    Ok(())
}

/// Writes responses, within the transaction of a batch.
pub(super) fn keep(connection: &Connection, answers: &[KeptAnswer]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO answers (key, fingerprint, at, answer, hour, token, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (key) DO UPDATE SET fingerprint = ?2, at = ?3, answer = ?4, hour = ?5, bytes = ?7",
    )?;
    for kept in answers {
        let KeptAnswer { key, fingerprint, at, hour, answer } = kept;
        let (text, hour) = (answer_text(answer)?, hour_to_sql(*hour));
        let bytes = answer_bytes(kept, &text);
        statement.execute(params![key, fingerprint, at.as_microsecond(), text, hour, kept.token(), bytes])?;
    }
    Ok(())
}

/// See [`crate::store::Journal::bound_answers`].
pub(super) fn bound(connection: &Connection, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
    let mut sums = connection.prepare_cached("SELECT token, sum(bytes) FROM answers GROUP BY token")?;
    let share = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Box<str>>(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
    let shares = sums.query_map([], share)?.collect::<Result<AnswerShares, _>>()?;
    let mut dropped = 0;
    for (token, surplus) in quota.surplus(&shares) {
        let (surplus, limit) = (i64::try_from(surplus).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        dropped += connection.prepare_cached(OLDEST_ANSWERS)?.execute(params![token, limit, surplus])?;
    }
    Ok(dropped)
}

/// See [`crate::store::Journal::forget_answers`].
pub(super) fn forget(connection: &Connection, before: u64, limit: usize) -> Result<(), StoreError> {
    let old = params![hour_to_sql(before), i64::try_from(limit).unwrap_or(i64::MAX)];
    let mut any = connection.prepare_cached("SELECT 1 FROM answers WHERE hour < ?1 LIMIT 1")?;
    // This query comes first, because a transaction waits for the lock even if it deletes nothing.
    if any.exists([hour_to_sql(before)])? {
        connection
            .prepare_cached("DELETE FROM answers WHERE key IN (SELECT key FROM answers WHERE hour < ?1 LIMIT ?2)")?
            .execute(old)?;
    }
    Ok(())
}
