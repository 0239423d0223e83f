//! Streams a backup from the registry.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use super::{Client, ClientError, REQUEST_TIME, request_of};
use crate::net::RequestError;
use crate::net::http_client::{Body, next_piece, whole};

/// The longest pause between two pieces.
const SILENCE: Duration = Duration::from_mins(1);

/// The response of `GET /backup`, read piece by piece.
#[derive(Debug)]
pub struct Backup {
    server: String,
    body: Body,
}

impl Client {
    /// Everything that the registry restores from: `GET /backup`.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
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
    /// If the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let unreachable = |source| ClientError::Unreachable { server: self.server.clone(), source };
        let next = tokio::time::timeout(SILENCE, next_piece(&mut self.body)).await;
        next.unwrap_or(Err(RequestError::Late(SILENCE))).map_err(unreachable)
    }
}
