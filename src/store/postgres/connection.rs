//! One connection to the database, used by one thread at a time.
//!
//! Whoever keeps the store is a thread that may wait, so that a transaction is never half open because a
//! future was dropped. The connection is driven by a runtime of its own while the thread waits for an answer, and by
//! nobody in between.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Connection, NoTls, Socket};
use tracing::debug;

use super::url::PostgresUrl;
use crate::store::StoreError;

/// How long one exchange with the database may take, its waiting for locks included.
pub(super) const EXCHANGE_TIME: Duration = Duration::from_secs(10);

/// How long reading the whole store may take.
pub(super) const LOAD_TIME: Duration = Duration::from_mins(5);

/// How long to wait for the end of a connection that is no longer needed.
const END_TIME: Duration = Duration::from_secs(1);

/// What every session begins with.
///
/// A commit is durable when it is answered, whatever the server's default is. A replica that was stopped, or cut off, in
/// the middle of a batch loses its lock after 2 s: the server ends its session. No statement is worth being compiled (`jit`), which
/// takes ten times as long as to run it.
const SESSION: &str = "
    SET search_path = plugin_registry;
    SET statement_timeout = '9s';
    SET lock_timeout = '8s';
    SET idle_in_transaction_session_timeout = '2s';
    SET client_min_messages = warning;
    SET jit = off;
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";

/// A connection.
pub(super) struct PostgresConnection {
    client: Option<Client>,
    driver: JoinHandle<()>,
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
}

impl PostgresConnection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, or does not let us in.
    pub fn open(url: &PostgresUrl) -> Result<PostgresConnection, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::unusable("a runtime for the database cannot be started", error))?;
        let connecting = async {
            let (client, driver) = connect(url).await?;
            client.batch_execute(SESSION).await?;
            Ok::<_, StoreError>((client, driver))
        };
        let (client, driver) = runtime.block_on(in_time(EXCHANGE_TIME, connecting))?;
        Ok(PostgresConnection { client: Some(client), driver, runtime: Some(runtime) })
    }

    /// Whether the connection stands, as far as is known.
    pub fn stands(&self) -> bool {
        self.client.as_ref().is_some_and(|client| !client.is_closed())
    }

    /// Has an exchange with the database. One that takes too long ends the connection.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, or does not do what it is asked for.
    pub fn run<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.run_within(EXCHANGE_TIME, work)
    }

    /// As [`PostgresConnection::run`], for what may take longer.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn run_within<T>(
        &mut self,
        time: Duration,
        work: impl AsyncFnOnce(&Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (Some(client), Some(runtime)) = (&self.client, &self.runtime) else { return Err(closed()) };
        let done = runtime.block_on(in_time(time, work(client)));
        if matches!(done, Err(StoreError::Unreachable(_))) {
            // What it would answer later must not be taken for an answer to something else.
            self.client = None;
        }
        done
    }

    /// Ends the connection as the protocol wants it.
    pub fn close(mut self) {
        drop(self.client.take());
        let Some(runtime) = &self.runtime else { return };
        let ended = runtime.block_on(async { tokio::time::timeout(END_TIME, &mut self.driver).await });
        if ended.is_err() {
            debug!("the database did not take leave in time");
        }
    }
}

impl Drop for PostgresConnection {
    /// The last one who holds it may be one who must not wait, which the end of a runtime would otherwise do.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Connects, with TLS where the URL wants it; the connection is driven by the runtime that calls this.
async fn connect(url: &PostgresUrl) -> Result<(Client, JoinHandle<()>), StoreError> {
    let refused = |error: tokio_postgres::Error| refused(url, error);
    if url.is_plain() {
        let (client, connection) = url.config.connect(NoTls).await.map_err(refused)?;
        Ok((client, tokio::spawn(drive(connection))))
    } else {
        let (client, connection) = url.config.connect(url.trust.connector()?).await.map_err(refused)?;
        Ok((client, tokio::spawn(drive(connection))))
    }
}

async fn drive<S>(connection: Connection<Socket, S>)
where
    Connection<Socket, S>: Future<Output = Result<(), tokio_postgres::Error>>,
{
    if let Err(error) = connection.await {
        // Whoever uses it next is told, too.
        debug!(%error, "a connection to the database has ended");
    }
}

/// A failure to connect. A name or a password that is wrong will not be right the next time, and is told as it is.
pub(super) fn refused(url: &PostgresUrl, error: tokio_postgres::Error) -> StoreError {
    match error.code().map(|code| code.code().get(..2).unwrap_or_default()) {
        Some("28" | "3D" | "42") => StoreError::unusable(format!("{url} does not let us in"), error),
        _ => StoreError::Unreachable(Box::new(error)),
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unreachable("the connection was ended".into())
}

async fn in_time<T>(time: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        Err(StoreError::Unreachable(format!("the database has not answered within {time:?}").into()))
    })
}
