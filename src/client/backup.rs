//! A backup, as it comes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::Value;

use super::transport::{TransportError, whole};
use super::{Client, ClientError, request_of};

/// How long nothing may come of it.
const SILENCE: Duration = Duration::from_mins(1);

/// A backup that is being sent.
#[derive(Debug)]
pub struct Backup {
    server: String,
    body: Incoming,
}

impl Client {
    /// All that the registry would find again after a restart: `GET /backup`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn backup(&self) -> Result<Backup, ClientError> {
        let request = self.with_credential(request_of(Method::GET, &self.url(&["backup"]), None::<&Value>)?);
        let answer = self.transport.open(request).await.map_err(|source| self.unreachable(source))?;
        if !answer.status().is_success() {
            let refusal = whole(answer).await.map_err(|source| self.unreachable(source))?;
            return Err(ClientError::refused(refusal.status.as_u16(), &refusal.body));
        }
        Ok(Backup { server: self.base.to_string(), body: answer.into_body() })
    }
}

impl Backup {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    ///
    /// When it breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let unreachable = |source| ClientError::Unreachable { server: self.server.clone(), source };
        loop {
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| unreachable(TransportError::Late(SILENCE)))? else { return Ok(None) };
            // Whatever else there is, trailers, is none of it.
            if let Ok(piece) = frame.map_err(|error| unreachable(error.into()))?.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}
