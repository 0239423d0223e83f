//! Dumps a whole database as of one moment, and fills or replaces one.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::change_row::{COLUMNS, change_row, compact_revision};
use super::connection::{LOAD_TIME, PostgresConnection};
use super::session::Session;
use super::{PostgresJournal, check_server, idempotency, load, tokens, webhooks, write};
use crate::clock::new_identity;
use crate::store::StoreError;
use crate::store::archive::{Archived, Auxiliary, Part, change, head, next_auxiliary, not_empty};
use crate::store::row::{ChangeRow, revision_to_sql};
use domain::StoreId;

/// The number of changes, or responses, to read at a time.
const PAGE: i64 = 256;

/// The approximate bytes of changes to write at a time.
const STATEMENT_BYTES: usize = 8 << 20;

/// The reader or writer of the file may take any time between two statements.
const PATIENT: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// The tables that a restore replaces, and the heartbeats, which belong to the old content.
const EMPTY: &str = "
    DELETE FROM changes; DELETE FROM plugins; DELETE FROM categories; DELETE FROM meters; DELETE FROM budgets;
    DELETE FROM leases; DELETE FROM tokens; DELETE FROM webhooks; DELETE FROM answers; DELETE FROM heartbeats;
    DELETE FROM hours; DELETE FROM clock_steps";

impl Archived for PostgresJournal {
    fn dump(&mut self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let session = self.session()?;
        session.link.run_within(LOAD_TIME, async |client| check_server(client).await)?;
        dump(&mut session.link, visit)
    }

    fn restore(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        self.within_transaction(|session| {
            session.link.run(async |client| {
                let query = "SELECT head > 0 OR EXISTS (SELECT FROM plugins) OR EXISTS (SELECT FROM webhooks)
                             FROM registry FOR UPDATE";
                let holds = client.query_typed_one(query, &[]).await?.try_get(0)?;
                if holds { Err(not_empty()) } else { Ok(()) }
            })?;
            fill(session, parts)
        })
    }

    fn replace(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        self.within_transaction(|session| {
            session.link.run_within(LOAD_TIME, async |client| {
                client.query_typed_one("SELECT head FROM registry FOR UPDATE", &[]).await?;
                Ok(client.batch_execute(EMPTY).await?)
            })?;
            fill(session, parts)
        })
    }
}

impl PostgresJournal {
    /// Does all of `work` or nothing. The store then has the identity that `work` returns.
    fn within_transaction(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<StoreId, StoreError>,
    ) -> Result<StoreId, StoreError> {
        let session = self.session()?;
        session.link.run_within(LOAD_TIME, async |client| {
            check_server(client).await?;
            Ok(client.batch_execute(&format!("BEGIN; {PATIENT}")).await?)
        })?;
        match work(session) {
            Ok(store) => {
                // Replicas with the old content notice the new one soon.
                end(&mut session.link, "NOTIFY plugin_registry; COMMIT")?;
                self.store = Some(store.clone());
                Ok(store)
            }
            Err(failure) => {
                // If the connection failed, the server rolls back by itself.
                drop(end(&mut session.link, "ROLLBACK"));
                Err(failure)
            }
        }
    }
}

fn end(link: &mut PostgresConnection, statement: &str) -> Result<(), StoreError> {
    link.run(async |client| Ok(client.batch_execute(statement).await?))
}

/// Visits the whole database as of one moment.
pub(super) fn dump(
    link: &mut PostgresConnection,
    visit: &mut dyn FnMut(Part) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let dumped = dump_within(link, visit);
    let ended = end(link, "ROLLBACK");
    dumped.and(ended)
}

fn dump_within(
    link: &mut PostgresConnection,
    visit: &mut dyn FnMut(Part) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let begun = link.run_within(LOAD_TIME, async |client| {
        client.batch_execute(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {PATIENT}")).await?;
        let beside = (tokens::rows(client, "id COLLATE \"C\"").await?, webhooks::list(client).await?);
        Ok((load(client).await?, compact_revision(client).await?, beside))
    });
    let (snapshot, compact_revision, (tokens, webhooks)) = begun?;
    visit(Part::Head { snapshot, compact_revision })?;
    for token in tokens {
        visit(Part::Auxiliary(Auxiliary::Token(token)))?;
    }
    for webhook in webhooks {
        visit(Part::Auxiliary(Auxiliary::Webhook(webhook)))?;
    }
    let mut after = String::new();
    loop {
        let kept = link.run_within(LOAD_TIME, async |client| idempotency::page(client, &after, PAGE).await)?;
        let Some(last) = kept.last() else { break };
        after = last.key.clone().into();
        for answer in kept {
            visit(Part::Auxiliary(Auxiliary::Answer(answer)))?;
        }
    }
    let mut after = -1;
    loop {
        let rows = link.run_within(LOAD_TIME, async |client| page(client, after).await)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.revision;
        for row in rows {
            visit(Part::Change(row))?;
        }
    }
}

/// The changes after a revision, including those up to the compact revision.
async fn page(client: &Client, after: i64) -> Result<Vec<ChangeRow>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM changes WHERE revision > $1 ORDER BY revision LIMIT {PAGE}");
    let rows = client.query_typed(&query, &[(&after, Type::INT8)]).await?;
    rows.iter().map(|row| change_row(row, 0)).collect()
}

/// Writes all parts, within a transaction.
fn fill(
    session: &mut Session,
    parts: &mut dyn Iterator<Item = Result<Part, StoreError>>,
) -> Result<StoreId, StoreError> {
    let Session { link, statements, .. } = session;
    let (snapshot, compact_revision) = head(parts)?;
    let state = &snapshot.state;
    link.run_within(LOAD_TIME, async |client| write::put_standing(client, statements, state).await)?;
    let mut parts = parts.peekable();
    // An export has no tokens, so an import keeps the existing ones.
    let had_tokens = link.run(async |client| tokens::are_there(client).await)?;
    while let Some(beside) = next_auxiliary(&mut parts)? {
        link.run_within(LOAD_TIME, async |client| match &beside {
            Auxiliary::Token(_) if had_tokens => Err(not_empty()),
            Auxiliary::Token(token) => tokens::put(client, token).await,
            Auxiliary::Webhook(webhook) => webhooks::put(client, webhook).await,
            Auxiliary::Answer(answer) => write::put_answers(client, statements, std::slice::from_ref(answer)).await,
        })?;
    }
    while parts.peek().is_some() {
        let rows = some(&mut parts)?;
        link.run_within(LOAD_TIME, async |client| write::put_changes(client, statements, rows).await)?;
    }
    let store = StoreId::new(new_identity());
    let (revision, at, compact_revision) =
        (revision_to_sql(state.revision()), state.at().as_microsecond(), revision_to_sql(compact_revision));
    link.run(async |client| {
        let query = "UPDATE registry SET store = $1, head = $2, head_at = $3, horizon = $4";
        let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
            (&store.as_str(), Type::TEXT),
            (&revision, Type::INT8),
            (&at, Type::INT8),
            (&compact_revision, Type::INT8),
        ];
        client.execute_typed(query, &values).await?;
        Ok(())
    })?;
    Ok(store)
}

/// As many changes as fit into one statement.
fn some(parts: &mut impl Iterator<Item = Result<Part, StoreError>>) -> Result<Vec<ChangeRow>, StoreError> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for part in parts {
        let row = change(part)?;
        bytes += 512 + row.document.as_ref().map_or(0, String::len) + row.detail.as_ref().map_or(0, String::len);
        rows.push(row);
        if bytes > STATEMENT_BYTES {
            break;
        }
    }
    Ok(rows)
}
