//! A backup, as it comes.

use std::time::Duration;

use bytes::Bytes;

use super::{Client, ClientError};

/// How long nothing may come of it.
const SILENCE: Duration = Duration::from_mins(1);

/// How long the whole of it may take.
const BACKUP_TIME: Duration = Duration::from_hours(24);

/// A backup that is being sent.
#[derive(Debug)]
pub struct Backup {
    server: String,
    response: reqwest::Response,
}

impl Client {
    /// All that the registry would find again after a restart: `GET /backup`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn backup(&self) -> Result<Backup, ClientError> {
        let request = self.http.get(self.url(&["backup"])).timeout(BACKUP_TIME);
        let response = self.judged(request.send().await).await?;
        Ok(Backup { server: self.base.to_string(), response })
    }
}

impl Backup {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    ///
    /// When it breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let piece = tokio::time::timeout(SILENCE, self.response.chunk()).await;
        let piece = piece.map_err(|_| ClientError::Answer(format!("nothing has come for {SILENCE:?}")))?;
        piece.map_err(|source| ClientError::Unreachable { server: self.server.clone(), source })
    }
}
