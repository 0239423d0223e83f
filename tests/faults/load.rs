//! Many clients that write and some that read, until the server is gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::Client;
use crate::dice::Dice;
use crate::observer::{Observer, Progress};
use crate::reader::Reader;
use crate::violation::Violation;
use crate::writer::Writer;

/// How long the server may take for a round of load before that counts as a hang. Much more than it ever takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// The clients. They keep what they know of their plugins from one life of the server to the next.
pub(crate) struct Load {
    observer: Arc<Observer>,
    writers: Vec<Writer>,
    readers: Vec<Reader>,
}

impl Load {
    pub(crate) fn new(dice: &Dice, observer: &Arc<Observer>, writers: u64, readers: u64) -> Load {
        Load {
            observer: observer.clone(),
            writers: (0..writers).map(|number| Writer::new(number, dice.for_task(number))).collect(),
            readers: (0..readers).map(|number| Reader::new(dice.for_task(1000 + number))).collect(),
        }
    }

    /// Starts all clients on the server at `address`.
    pub(crate) fn start(&mut self, address: &str) -> Running<'_> {
        self.observer.life_begins();
        let mut tasks = JoinSet::new();
        for mut writer in self.writers.drain(..) {
            let (client, observer) = (Client::new(address), self.observer.clone());
            tasks.spawn(async move {
                let result = writer.run(&client, &observer).await;
                observer.life_ends();
                result.map(|()| Done::Writer(writer))
            });
        }
        for mut reader in self.readers.drain(..) {
            let (client, observer) = (Client::new(address), self.observer.clone());
            tasks.spawn(async move {
                let result = reader.run(&client, &observer).await;
                observer.life_ends();
                result.map(|()| Done::Reader(reader))
            });
        }
        Running { load: self, tasks }
    }
}

enum Done {
    Writer(Writer),
    Reader(Reader),
    Nothing,
}

/// Clients at work.
pub(crate) struct Running<'a> {
    load: &'a mut Load,
    tasks: JoinSet<Result<Done, Violation>>,
}

impl Running<'_> {
    /// Waits until `enough` of the progress since the start, or until the server is gone or a client has found a
    /// violation, which [`Running::finish`] reports. Returns how far it came.
    ///
    /// # Errors
    /// When that takes too long.
    pub(crate) async fn until(&self, enough: impl Fn(&Progress) -> bool) -> Result<Progress, Violation> {
        let mut progress = self.load.observer.progress();
        let waiting = progress.wait_for(|progress| progress.ended || enough(progress));
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(progress)) => Ok(*progress),
            _ => Err(Violation::Server(format!(
                "came no further in {PATIENCE:?} than {:?}",
                *self.load.observer.progress().borrow()
            ))),
        }
    }

    /// Waits until `enough` of the progress since the start.
    ///
    /// # Errors
    /// When that takes too long, when the server dies instead, and the first violation that a client finds.
    pub(crate) async fn reach(&mut self, enough: impl Fn(&Progress) -> bool) -> Result<Progress, Violation> {
        let progress = self.until(enough).await?;
        if !progress.ended {
            return Ok(progress);
        }
        self.tasks.abort_all();
        while let Some(done) = self.tasks.join_next().await {
            // One that was aborted has nothing to say.
            done.unwrap_or(Ok(Done::Nothing))?;
        }
        Err(Violation::Server("died under load".into()))
    }

    /// Waits for the clients, which end by themselves when the server is gone.
    ///
    /// # Errors
    /// The first violation that one of them found.
    pub(crate) async fn finish(mut self) -> Result<(), Violation> {
        while let Some(done) = self.tasks.join_next().await {
            match done.map_err(|error| Violation::Harness(error.to_string()))?? {
                Done::Writer(writer) => self.load.writers.push(writer),
                Done::Reader(reader) => self.load.readers.push(reader),
                Done::Nothing => {}
            }
        }
        Ok(())
    }
}
