//! Notifications of other replicas' writes: `LISTEN`, on a separate connection and thread.
//!
//! A notification is only a hint, because a broken connection may go unnoticed for a while. The writer also polls now
//! and then, and reads other changes at every batch. During continuous batches the listener pauses. Otherwise each
//! notification would wake a server process and a thread here, only to announce what the next batch reads anyway.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Connection, NoTls, Socket};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::connection::refused;
use super::url::PostgresUrl;
use crate::store::{StoreError, Wake};

/// The first and the maximum pause before listening again.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pause after a wake. Under load there is a commit every few milliseconds, and each check costs the database a
/// round trip.
const REST: Duration = Duration::from_millis(5);

/// A writer whose commits follow each other within this time reads the changes of other replicas at each of them.
const SOON: Duration = Duration::from_millis(30);

/// How long continuous commits must last before the listener pauses. To pause and to resume costs two small
/// transactions.
const LONG: Duration = Duration::from_millis(100);

/// The listener's knowledge of the writer.
#[derive(Default)]
pub(super) struct Writing(Mutex<Wrote>);

#[derive(Default)]
struct Wrote {
    /// The server process of the writer's connection: its notifications are ignored.
    process: i32,
    /// The times of the first and the newest of the continuous commits.
    streak: Option<(Instant, Instant)>,
}

impl Writing {
    /// Sets the server process of the writer's connection.
    pub fn is_served_by(&self, process: i32) {
        self.wrote().process = process;
    }

    /// Records a commit.
    pub fn has_committed(&self) {
        let now = Instant::now();
        let mut wrote = self.wrote();
        let followed = wrote.streak.filter(|(_, newest)| now - *newest < SOON);
        wrote.streak = Some((followed.map_or(now, |(first, _)| first), now));
    }

    /// Until when the writer needs no notifications, because it commits continuously; `None` if it does not.
    fn knows_until(&self) -> Option<Instant> {
        let (first, newest) = self.wrote().streak?;
        let until = newest + SOON;
        (newest - first >= LONG && Instant::now() < until).then_some(until)
    }

    fn wrote(&self) -> MutexGuard<'_, Wrote> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listener.
pub(super) struct Listener {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Starts to listen. It calls `wake` if other replicas have written, or may have, unless the writer will soon read
    /// anyway.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start(url: PostgresUrl, wake: Wake, writing: Arc<Writing>) -> Result<Listener, StoreError> {
        let stop = CancellationToken::new();
        let unstartable =
            |error| StoreError::unusable("the thread for notifications of the database cannot be started", error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(unstartable)?;
        let stopped = stop.clone();
        let listening = move || {
            let (Some(()) | None) =
                runtime.block_on(stopped.run_until_cancelled(keep_listening(&url, &wake, &writing)));
        };
        let thread = std::thread::Builder::new().name("listen".into()).spawn(listening).map_err(unstartable)?;
        Ok(Listener { stop, thread })
    }

    /// Stops listening.
    pub fn stop(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            warn!("the thread for notifications of the database panicked");
        }
    }
}

async fn keep_listening(url: &PostgresUrl, wake: &Wake, writing: &Writing) {
    let mut pause = PAUSE;
    loop {
        let listened = listen(url, wake, writing, &mut pause).await;
        // Without notifications the writer still polls, and the writer logs its own failures: a line at debug is
        // enough.
        if let Err(failure) = listened {
            debug!(error = failure.chain(), "no notifications from the database for now; the writer polls");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn listen(url: &PostgresUrl, wake: &Wake, writing: &Writing, pause: &mut Duration) -> Result<(), StoreError> {
    if url.is_plain() {
        let (client, connection) = url.config.connect(NoTls).await.map_err(|error| refused(url, error))?;
        hear(client, connection, wake, writing, pause).await
    } else {
        let connecting = url.config.connect(url.trust.connector()?);
        let (client, connection) = connecting.await.map_err(|error| refused(url, error))?;
        hear(client, connection, wake, writing, pause).await
    }
}

/// Listens until the connection ends.
async fn hear<T: TlsStream + Unpin>(
    client: tokio_postgres::Client,
    mut connection: Connection<Socket, T>,
    wake: &Wake,
    writing: &Writing,
    pause: &mut Duration,
) -> Result<(), StoreError>
where
    Socket: Unpin,
{
    let (news, told) = (Notify::new(), Notify::new());
    let listening = async {
        // The client must live as long as this loop: dropping it would close the connection.
        loop {
            client.batch_execute("LISTEN plugin_registry").await?;
            // Another replica may have written before LISTEN.
            wake();
            *pause = PAUSE;
            while writing.knows_until().is_none() {
                told.notified().await;
            }
            client.batch_execute("UNLISTEN plugin_registry").await?;
            while let Some(until) = writing.knows_until() {
                sleep_until(until).await;
            }
        }
    };
    let heard = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message? {
                told.notify_one();
                if notification.process_id() != writing.wrote().process {
                    news.notify_one();
                }
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
        failed = listening => failed,
        ended = heard => ended,
        never = waking => never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_commits_all_the_time_need_not_be_told_of_others() {
        let writing = Writing::default();
        assert_eq!(writing.knows_until(), None);
        for _ in 0..5 {
            writing.has_committed();
            assert_eq!(writing.knows_until(), None, "it has not committed for long");
            tokio::time::advance(SOON * 4 / 5).await;
        }
        writing.has_committed();
        assert_eq!(writing.knows_until(), Some(Instant::now() + SOON));
        tokio::time::advance(SOON).await;
        assert_eq!(writing.knows_until(), None, "it has committed nothing more");
        writing.has_committed();
        assert_eq!(writing.knows_until(), None, "a single commit does not make it continuous");
    }
}
