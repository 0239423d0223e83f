//! Being told that others have written: `LISTEN`, on a connection and a thread of its own.
//!
//! It is only a hint: a connection can be dead for a while before anybody notices. The writer looks by itself now and
//! then, and at every batch. As long as batch follows on batch, nobody listens: each notification would wake a process of the
//! server and a thread here, to tell what the next batch reads anyway.

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

/// How long to wait before listening again: at first, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long to wait after a wake before the next: under load there is a commit every few milliseconds, and looking costs
/// the database a round trip each time.
const REST: Duration = Duration::from_millis(5);

/// A writer whose commits follow on each other within this time reads at each of them what others have written.
const SOON: Duration = Duration::from_millis(30);

/// For how long they must have done so to be worth two small transactions: to listen no more, and to listen again.
const LONG: Duration = Duration::from_millis(100);

/// What the one who listens knows of the writer.
#[derive(Default)]
pub(super) struct Writing(Mutex<Wrote>);

#[derive(Default)]
struct Wrote {
    /// The server process that the writer's commits are made by: what it tells is no news.
    process: i32,
    /// When the first and the newest were made of the commits that have followed on each other.
    streak: Option<(Instant, Instant)>,
}

impl Writing {
    /// Says which server process serves the writer from now on.
    pub fn is_served_by(&self, process: i32) {
        self.wrote().process = process;
    }

    /// Says that a batch was committed.
    pub fn has_committed(&self) {
        let now = Instant::now();
        let mut wrote = self.wrote();
        let followed = wrote.streak.filter(|(_, newest)| now - *newest < SOON);
        wrote.streak = Some((followed.map_or(now, |(first, _)| first), now));
    }

    /// Until when the writer needs nobody to tell it of others, since it commits all the time; `None` when it does not.
    fn knows_until(&self) -> Option<Instant> {
        let (first, newest) = self.wrote().streak?;
        let until = newest + SOON;
        (newest - first >= LONG && Instant::now() < until).then_some(until)
    }

    fn wrote(&self) -> MutexGuard<'_, Wrote> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who listens.
pub(super) struct Listener {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Starts to listen; `wake` is called when others have written, or may have, and the writer would not soon see by itself.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(url: PostgresUrl, wake: Wake, writing: Arc<Writing>) -> Result<Listener, StoreError> {
        let stop = CancellationToken::new();
        let unstartable =
            |error| StoreError::unusable("the thread that listens to the database cannot be started", error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(unstartable)?;
        let stopped = stop.clone();
        let listening = move || {
            let (Some(()) | None) =
                runtime.block_on(stopped.run_until_cancelled(keep_listening(&url, &wake, &writing)));
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

async fn keep_listening(url: &PostgresUrl, wake: &Wake, writing: &Writing) {
    let mut pause = PAUSE;
    loop {
        let listened = listen(url, wake, writing, &mut pause).await;
        // Whoever is told by nobody is told later than by the writer: a line at debug is enough.
        if let Err(failure) = listened {
            debug!(error = failure.chain(), "nobody listens to the database for now");
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
        // The client must outlive this: its end would end the connection.
        loop {
            client.batch_execute("LISTEN plugin_registry").await?;
            // Something may have been written before.
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
        assert_eq!(writing.knows_until(), None, "one commit says nothing of the next");
    }
}
