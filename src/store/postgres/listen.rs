//! Being told that others have written: `LISTEN`, on a connection and a thread of its own.
//!
//! It is only a hint: a connection can be dead for a while before anybody notices. The writer looks by itself now and
//! then, and before every batch.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Connection, NoTls, Socket};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::link::refused;
use super::url::PostgresUrl;
use crate::store::{StoreError, Wake};

/// How long to wait before listening again: at first, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long to wait after a wake before the next: under load there is a commit every few milliseconds, and looking costs
/// the database a round trip each time.
const REST: Duration = Duration::from_millis(5);

/// One who listens.
pub(super) struct Listener {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Starts to listen; `wake` is called when others have written, or may have. `own` is the number of the server process
    /// that the writer's own commits are made by: what it tells is no news.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(url: PostgresUrl, wake: Wake, own: Arc<AtomicI32>) -> Result<Listener, StoreError> {
        let stop = CancellationToken::new();
        let unstartable =
            |error| StoreError::unusable("the thread that listens to the database cannot be started", error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(unstartable)?;
        let stopped = stop.clone();
        let listening = move || {
            let (Some(()) | None) = runtime.block_on(stopped.run_until_cancelled(keep_listening(&url, &wake, &own)));
        };
        let thread = std::thread::Builder::new().name("listen".into()).spawn(listening).map_err(unstartable)?;
        Ok(Listener { stop, thread })
    }

    /// Listens no more.
    pub fn stop(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            warn!("the thread that listened to the database ended by a panic");
        }
    }
}

async fn keep_listening(url: &PostgresUrl, wake: &Wake, own: &AtomicI32) {
    let mut pause = PAUSE;
    loop {
        let listened = listen(url, wake, own, &mut pause).await;
        // Whoever is told by nobody is told later than by the writer: a line at debug is enough.
        if let Err(failure) = listened {
            debug!(error = failure.chain(), "nobody listens to the database for now");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn listen(url: &PostgresUrl, wake: &Wake, own: &AtomicI32, pause: &mut Duration) -> Result<(), StoreError> {
    if url.is_plain() {
        let (client, connection) = url.config.connect(NoTls).await.map_err(|error| refused(url, error))?;
        hear(client, connection, wake, own, pause).await
    } else {
        let connecting = url.config.connect(url.trust.connector()?);
        let (client, connection) = connecting.await.map_err(|error| refused(url, error))?;
        hear(client, connection, wake, own, pause).await
    }
}

/// Listens until the connection ends.
async fn hear<T: TlsStream + Unpin>(
    client: tokio_postgres::Client,
    mut connection: Connection<Socket, T>,
    wake: &Wake,
    own: &AtomicI32,
    pause: &mut Duration,
) -> Result<(), StoreError>
where
    Socket: Unpin,
{
    let news = Notify::new();
    let asked = async {
        client.batch_execute("LISTEN plugin_registry").await?;
        // Something may have been written before.
        wake();
        *pause = PAUSE;
        // The client must outlive this: its end would end the connection.
        std::future::pending::<Result<(), tokio_postgres::Error>>().await
    };
    let heard = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(told) = message?
                && told.process_id() != own.load(Ordering::Relaxed)
            {
                news.notify_one();
            }
        }
        Ok(())
    };
    let waking = async {
        loop {
            news.notified().await;
            wake();
            tokio::time::sleep(REST).await;
        }
    };
    tokio::select! {
        failed = asked => Ok(failed?),
        ended = heard => ended,
        never = waking => never,
    }
}
