//! A backup, as it comes.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use super::{Client, ClientError, REQUEST_TIME, request_of};
use crate::net::RequestError;
use crate::net::http_client::{Body, next_piece, whole};

/// How long nothing may come of it.
const SILENCE: Duration = Duration::from_mins(1);

/// A backup that is being sent.
#[derive(Debug)]
pub struct Backup {
    server: String,
    body: Body,
}

impl Client {
    /// All that the registry would find again after a restart: `GET /backup`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it, or cannot be asked.
    pub async fn backup(&self) -> Result<Backup, ClientError> {
        let request = self.with_credential(request_of(Method::GET, &self.url(&["backup"])?, None::<&Value>)?);
        let begun = tokio::time::timeout(REQUEST_TIME, self.http.send(request)).await;
        let answer =
            begun.unwrap_or(Err(RequestError::Late(REQUEST_TIME))).map_err(|source| self.unreachable(source))?;
        if !answer.status().is_success() {
            let refusal = whole(answer, usize::MAX).await.map_err(|source| self.unreachable(source))?;
            return Err(ClientError::refused(self.base.as_str(), refusal.status().as_u16(), refusal.body()));
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
        let next = tokio::time::timeout(SILENCE, next_piece(&mut self.body)).await;
        next.unwrap_or(Err(RequestError::Late(SILENCE))).map_err(unreachable)
    }
}
