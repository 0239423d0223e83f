//! A backup of the whole store, made while it is written to.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::handle::Registry;
use crate::store::archive::writer::{ArchiveWriter, Content};

/// How many pieces wait for whoever takes them, and how large they are, in bytes.
const PIECES: usize = 4;
const PIECE: usize = 64 * 1024;

/// Why there is no backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Another one is being made.
    #[error("another backup is being made")]
    Busy,
    /// The store cannot be read at the moment.
    #[error("the store cannot be read at the moment")]
    Unreadable,
}

/// A backup that is being made: an archive, piece by piece. An error is the last piece; without its last line an archive is
/// none. When this is dropped, the making ends.
#[derive(Debug)]
pub struct BackupStream {
    first: Option<Bytes>,
    rest: Receiver<Result<Bytes, BackupError>>,
}

impl BackupStream {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    ///
    /// When the store cannot be read any more.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BackupError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.rest.recv().await.transpose(),
        }
    }
}

impl Registry {
    /// Begins a backup as of this moment, or one that is a little later; returns when its first piece is there.
    ///
    /// # Errors
    ///
    /// When another one is being made, or the store cannot be read.
    pub async fn backup(&self) -> Result<BackupStream, BackupError> {
        let place = self.backups().clone().try_acquire_owned().map_err(|_| BackupError::Busy)?;
        let (sender, mut rest) = mpsc::channel(PIECES);
        let registry = self.clone();
        tokio::task::spawn_blocking(move || {
            // Given back when the making ends, also when nobody takes the pieces any more.
            let _place = place;
            registry.make_backup(&sender);
        });
        match rest.recv().await {
            Some(Ok(first)) => Ok(BackupStream { first: Some(first), rest }),
            Some(Err(failure)) => Err(failure),
            None => Err(BackupError::Unreadable),
        }
    }

    fn make_backup(&self, sender: &Sender<Result<Bytes, BackupError>>) {
        let output = BufWriter::with_capacity(PIECE, BackupPieces(sender.clone()));
        let mut writer = ArchiveWriter::new(output, Content::Backup, self.now());
        let made = self.history().dump(&mut |part| writer.write(&part)).and_then(|()| writer.finish().map(drop));
        if let Err(failure) = made
            && !sender.is_closed()
        {
            tracing::warn!(error = failure.chain(), "a backup could not be made");
            // Whoever has gone away need not know.
            drop(sender.blocking_send(Err(BackupError::Unreadable)));
        }
    }
}

/// Hands on what is written, and waits until there is room for it.
struct BackupPieces(Sender<Result<Bytes, BackupError>>);

impl Write for BackupPieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
