//! How a call to the registry fails.

use serde::Deserialize;

use crate::net::RequestError;
use crate::net::tls_advice::{self, SetBy};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configured address cannot be one of a registry.
    #[error("`{address}` is not a registry address: {why}")]
    Address {
        /// The configured address.
        address: String,
        /// The reason.
        why: String,
    },
    /// The TLS files are unusable.
    #[error("{0}")]
    Security(String),
    /// No response arrived.
    #[error("the registry at {server} cannot be reached{}", tls_advice::hint(source, SetBy::Flags))]
    Unreachable {
        /// The address of the registry.
        server: String,
        /// The cause.
        source: RequestError,
    },
    /// The registry refused the request with a problem document (RFC 9457), whose detail this is.
    #[error("the registry has answered {status}: {detail}")]
    Refused {
        /// The status code.
        status: u16,
        /// What to fix, in the registry's words.
        detail: String,
        /// The whole problem document.
        problem: Box<Problem>,
    },
    /// The response is not a registry's: a proxy responded, or the address belongs to another server.
    #[error("{server} has answered {status}, but not as a registry: is it a proxy or another server?")]
    NotARegistry {
        /// The address.
        server: String,
        /// The status code. It says nothing about the request.
        status: u16,
    },
    /// The response is malformed: another server, or a registry of another version.
    #[error("the registry's response is malformed: {0}")]
    Answer(String),
}

/// A problem document.
#[derive(Debug, Deserialize)]
pub struct Problem {
    /// The kind of problem, for people.
    #[serde(default)]
    pub title: String,
    /// What is wrong, and how to correct it.
    pub detail: String,
    /// The id of the request in the registry's log.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The mistakes in the document that was sent.
    #[serde(default)]
    pub errors: Vec<Field>,
}

/// One mistake in a document.
#[derive(Debug, Deserialize)]
pub struct Field {
    /// JSON Pointer (RFC 6901) to the place; empty for the whole document.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl ClientError {
    /// The meaning of a failure response. A registry's response has a problem document.
    pub(super) fn refused(server: &str, status: u16, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => {
                let errors = problem.errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail));
                let detail = match problem.errors.len() {
                    2.. => errors.collect::<Vec<_>>().join("; "),
                    _ => problem.detail.clone(),
                };
                ClientError::Refused { status, detail, problem: Box::new(problem) }
            }
            // A proxy's page is not for a log.
            Err(_) => ClientError::NotARegistry { server: server.to_owned(), status },
        }
    }

    /// The error and its causes, for users.
    pub fn with_causes(&self) -> String {
        let mut told = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            told.push_str(": ");
            told.push_str(&error.to_string());
            cause = error.source();
        }
        told
    }

    /// Returns true if and only if the same call may succeed later: the registry is down, busy or restarting, or
    /// another server responded.
    pub fn may_pass(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::NotARegistry { .. } => true,
            ClientError::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            ClientError::Address { .. } | ClientError::Security(_) | ClientError::Answer(_) => false,
        }
    }

    /// The status code, if a registry responded.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &[u8]) -> ClientError {
        ClientError::refused("http://r/", status, body)
    }

    #[test]
    fn a_refusal_shows_the_registrys_words() {
        let one =
            br#"{"detail":"/name: must not be empty","errors":[{"pointer":"/name","detail":"must not be empty"}]}"#;
        assert_eq!(refused(422, one).to_string(), "the registry has answered 422: /name: must not be empty");
        let two =
            br#"{"detail":"x (and 1 more error)","errors":[{"pointer":"/a","detail":"x"},{"pointer":"/b","detail":"y"}]}"#;
        assert_eq!(refused(422, two).to_string(), "the registry has answered 422: /a: x; /b: y");
    }

    #[test]
    fn the_page_of_a_proxy_is_no_answer_of_a_registry() {
        let error = refused(404, b"<html>");
        assert_eq!((error.status(), error.may_pass()), (None, true));
        assert!(error.to_string().contains("http://r/ has answered 404"), "{error}");
    }

    #[test]
    fn only_temporary_failures_may_pass() {
        for (status, passes) in [(400, false), (404, false), (409, false), (422, false), (429, true), (503, true)] {
            assert_eq!(refused(status, br#"{"detail":"x"}"#).may_pass(), passes, "{status}");
        }
    }
}
