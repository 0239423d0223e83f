//! The errors of outgoing requests.

use std::error::Error;
use std::time::Duration;

use super::address_policy::Forbidden;
use super::cause::Cause;
use super::tls_advice::{self, SetBy};

/// The longest [`RequestError::reason`] without its remedy, in characters.
const MAX_REASON: usize = 500;

/// Why a request has no response, or only an incomplete response.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The address policy forbids every address of the host.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The request is malformed; for example, its URL is not absolute.
    #[error("the request is malformed")]
    Invalid(#[source] Cause),
    /// The client could not connect, or the server closed the connection.
    #[error("cannot connect")]
    Connection(#[source] Cause),
    /// The server closed the connection before the response was complete.
    #[error("the response ended too early")]
    Body(#[source] Cause),
    /// The response body exceeds this number of bytes.
    #[error("the response is larger than {0} bytes")]
    TooLong(usize),
    /// The response exceeded the time limit.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

impl RequestError {
    /// Classifies an error of a sent request.
    pub(super) fn of_sending(error: reqwest::Error) -> RequestError {
        match Forbidden::among(&error) {
            Some(forbidden) => RequestError::Forbidden(forbidden.clone()),
            None => RequestError::Connection(Cause::of(error)),
        }
    }

    /// The reason in one line: the error with its causes, without repetitions, and the remedy for an error of TLS in a
    /// request of the registry itself. The reason never has the URL, which may have a secret.
    pub fn reason(&self) -> String {
        let mut cause: &(dyn Error + 'static) = match self {
            RequestError::Invalid(cause) | RequestError::Connection(cause) | RequestError::Body(cause) => cause,
            RequestError::Forbidden(_) | RequestError::TooLong(_) | RequestError::Late(_) => self,
        };
        let mut parts = vec![cause.to_string()];
        while let Some(source) = cause.source() {
            let text = source.to_string();
            if parts.last().is_none_or(|last| *last != text) {
                parts.push(text);
            }
            cause = source;
        }
        let mut reason: String = parts.join(": ").chars().take(MAX_REASON).collect();
        reason.push_str(&tls_advice::hint(self, SetBy::System));
        reason
    }
}
