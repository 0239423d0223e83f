//! One connection to the database, used by one thread at a time.
//!
//! The store's caller is a thread that may block, so that a dropped future never leaves a transaction half open. The
//! connection has its own runtime, which runs only while the thread waits for an answer.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Connection, NoTls, Socket};
use tracing::debug;

use super::url::PostgresUrl;
use crate::store::StoreError;

/// The maximum time of one exchange with the database, including its waits for locks.
pub(super) const EXCHANGE_TIME: Duration = Duration::from_secs(10);

/// The maximum time to load the whole store.
pub(super) const LOAD_TIME: Duration = Duration::from_mins(5);

/// How long to wait for a connection to close.
const END_TIME: Duration = Duration::from_secs(1);

/// The first statements of every session.
///
/// A commit is durable when the server acknowledges it, whatever the server's default is. A replica that stops or loses
/// its connection during a batch loses its lock after 2 s, because the server ends its session. Compiling a statement
/// (`jit`) takes ten times as long as running it.
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
    /// `None` only during drop.
    runtime: Option<Runtime>,
}

impl PostgresConnection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, or refuses the login.
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

    /// Whether the connection is open, as far as known.
    pub fn stands(&self) -> bool {
        self.client.as_ref().is_some_and(|client| !client.is_closed())
    }

    /// Runs an exchange with the database. A timeout ends the connection.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, or refuses the request.
    pub fn run<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.run_within(EXCHANGE_TIME, work)
    }

    /// As [`PostgresConnection::run`], with a longer time limit.
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
            // A late answer must not be read as the answer to a later request.
            self.client = None;
        }
        done
    }

    /// Closes the connection as the protocol requires.
    pub fn close(mut self) {
        drop(self.client.take());
        let Some(runtime) = &self.runtime else { return };
        let ended = runtime.block_on(async { tokio::time::timeout(END_TIME, &mut self.driver).await });
        if ended.is_err() {
            debug!("the database did not close the connection in time");
        }
    }
}

impl Drop for PostgresConnection {
    /// The last holder may be on a thread that must not block, but dropping a runtime blocks.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Connects, with TLS if the URL requires it. The calling runtime drives the connection.
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
        // The next use of the connection reports the error too.
        debug!(%error, "a connection to the database has ended");
    }
}

/// A failed connection. A wrong name or password will not become right by retrying, so it is not `Unreachable`.
pub(super) fn refused(url: &PostgresUrl, error: tokio_postgres::Error) -> StoreError {
    match error.code().map(|code| code.code().get(..2).unwrap_or_default()) {
        Some("28" | "3D" | "42") => {
            StoreError::unusable(format!("{url} refuses the login; check user, password and database"), error)
        }
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
