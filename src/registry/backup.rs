//! A backup of the whole store during operation.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::handle::Registry;
use crate::store::archive::writer::{ArchiveWriter, Content};

/// The number of pieces that wait for the receiver, and their size in bytes.
const PIECES: usize = 4;
const PIECE: usize = 64 * 1024;

/// Why a backup failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Another backup is in progress.
    #[error("another backup is in progress; try again later")]
    Busy,
    /// The store cannot be read.
    #[error("the store cannot be read; try again later")]
    Unreadable,
}

/// A backup in progress: an archive, piece by piece. An error is the last piece; an archive without its last line is
/// not valid. Dropping this cancels the backup.
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
    /// If the store can no longer be read.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BackupError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.rest.recv().await.transpose(),
        }
    }
}

impl Registry {
    /// Starts a backup as of this moment or slightly later; returns when its first piece exists.
    ///
    /// # Errors
    ///
    /// If another backup is in progress, or the store cannot be read.
    pub async fn backup(&self) -> Result<BackupStream, BackupError> {
        let place = self.backups().clone().try_acquire_owned().map_err(|_| BackupError::Busy)?;
        let (sender, mut rest) = mpsc::channel(PIECES);
        let registry = self.clone();
        tokio::task::spawn_blocking(move || {
            // The permit is returned when the backup ends, also if the receiver has gone.
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
            tracing::warn!(error = failure.chain(), "a backup failed");
            // The receiver may have gone.
            drop(sender.blocking_send(Err(BackupError::Unreadable)));
        }
    }
}

/// Sends the written bytes, and waits while the channel is full.
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
