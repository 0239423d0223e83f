//! Why a request has no response.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::address_policy::Forbidden;

/// The longest [`RequestError::reason`], in characters.
const MAX_REASON: usize = 500;

/// Why a request has no response, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The address policy forbids every address of the host.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The request cannot be sent as it is: its URL is not absolute, for example.
    #[error("the request cannot be sent")]
    Invalid(#[source] Cause),
    /// The server cannot be connected to, or has broken off.
    #[error("no connection")]
    Connection(#[source] Cause),
    /// The response broke off.
    #[error("the answer broke off")]
    Body(#[source] Cause),
    /// The body of the response has more bytes than that.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The response did not come in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

impl RequestError {
    /// Sorts an error of a request that was sent.
    pub(super) fn of_sending(error: reqwest::Error) -> RequestError {
        match Forbidden::among(&error) {
            Some(forbidden) => RequestError::Forbidden(forbidden.clone()),
            None => RequestError::Connection(Cause::of(error)),
        }
    }

    /// The reason in one line, for people: the error with its causes, each once. It never names the URL, which may
    /// hold a secret.
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
        parts.join(": ").chars().take(MAX_REASON).collect()
    }
}

/// What reqwest gives as the cause of its error.
///
/// The text of the error itself says only that a request was sent, and to which URL.
#[derive(Debug)]
pub struct Cause(reqwest::Error);

impl Cause {
    pub(super) fn of(error: reqwest::Error) -> Cause {
        Cause(error.without_url())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source().and_then(Error::source)
    }
}
