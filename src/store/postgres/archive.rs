//! The whole database at one moment; an empty database filled.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::history::{COLUMNS, change_row, horizon};
use super::link::LOAD_TIME;
use super::session::Session;
use super::{PostgresJournal, check_server, load, write};
use crate::registry::StoreId;
use crate::store::StoreError;
use crate::store::archive::{Archived, Part, change, head, not_empty};
use crate::store::row::{ChangeRow, revision_to_sql};

/// How many changes are read at a time.
const PAGE: i64 = 256;

/// About how many bytes of changes are written at a time.
const STATEMENT_BYTES: usize = 8 << 20;

/// Whoever reads or writes the file may take their time between two statements.
const PATIENT: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

impl Archived for PostgresJournal {
    fn dump(&mut self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let session = self.session()?;
        session.link.run_within(LOAD_TIME, async |client| check_server(client).await)?;
        let dumped = dump(session, visit);
        let ended = end(session, "ROLLBACK");
        dumped.and(ended)
    }

    fn restore(&mut self, parts: &mut dyn Iterator<Item = Result<Part, StoreError>>) -> Result<StoreId, StoreError> {
        let session = self.session()?;
        session.link.run_within(LOAD_TIME, async |client| check_server(client).await)?;
        match fill(session, parts) {
            Ok(store) => {
                end(session, "COMMIT")?;
                self.store = Some(store.clone());
                Ok(store)
            }
            Err(failure) => {
                // A connection that has failed has rolled back by that.
                drop(end(session, "ROLLBACK"));
                Err(failure)
            }
        }
    }
}

fn end(session: &mut Session, statement: &str) -> Result<(), StoreError> {
    session.link.run(async |client| Ok(client.batch_execute(statement).await?))
}

fn dump(session: &mut Session, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let begun = session.link.run_within(LOAD_TIME, async |client| {
        client.batch_execute(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {PATIENT}")).await?;
        Ok((load(client).await?, horizon(client).await?))
    });
    let (snapshot, horizon) = begun?;
    visit(Part::Head { snapshot, horizon })?;
    let mut after = -1;
    loop {
        let rows = session.link.run_within(LOAD_TIME, async |client| page(client, after).await)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.revision;
        for row in rows {
            visit(Part::Change(row))?;
        }
    }
}

/// The changes after a revision, those up to the horizon included.
async fn page(client: &Client, after: i64) -> Result<Vec<ChangeRow>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM changes WHERE revision > $1 ORDER BY revision LIMIT {PAGE}");
    let rows = client.query_typed(&query, &[(&after, Type::INT8)]).await?;
    rows.iter().map(|row| change_row(row, 0)).collect()
}

/// Writes all parts, within a transaction that it begins.
fn fill(
    session: &mut Session,
    parts: &mut dyn Iterator<Item = Result<Part, StoreError>>,
) -> Result<StoreId, StoreError> {
    let Session { link, statements, .. } = session;
    link.run(async |client| {
        client.batch_execute(&format!("BEGIN; {PATIENT}")).await?;
        let query = "SELECT head > 0 OR EXISTS (SELECT FROM plugins) OR EXISTS (SELECT FROM webhooks)
                     FROM registry FOR UPDATE";
        let holds = client.query_typed_one(query, &[]).await?.try_get(0)?;
        if holds { Err(not_empty()) } else { Ok(()) }
    })?;
    let (snapshot, horizon) = head(parts)?;
    let state = &snapshot.state;
    link.run_within(LOAD_TIME, async |client| write::put_standing(client, statements, state).await)?;
    let mut parts = parts.peekable();
    while parts.peek().is_some() {
        let rows = some(&mut parts)?;
        link.run_within(LOAD_TIME, async |client| write::put_changes(client, statements, rows).await)?;
    }
    let store = StoreId::generate();
    let (revision, at, horizon) =
        (revision_to_sql(state.revision()), state.at().as_microsecond(), revision_to_sql(horizon));
    link.run(async |client| {
        let query = "UPDATE registry SET store = $1, head = $2, head_at = $3, horizon = $4";
        let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
            [(&store.as_str(), Type::TEXT), (&revision, Type::INT8), (&at, Type::INT8), (&horizon, Type::INT8)];
        client.execute_typed(query, &values).await?;
        Ok(())
    })?;
    Ok(store)
}

/// As many changes as one statement takes.
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
