//! What can go wrong when the registry is asked.

use serde::Deserialize;

use super::tls_advice;
use crate::net::RequestError;

/// Why a call has failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What was given is no address of a registry.
    #[error("`{address}` is no address of a registry: {why}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be spoken with the files that were given.
    #[error("{0}")]
    Security(String),
    /// No answer came.
    #[error("the registry at {server} cannot be reached{}", tls_advice::hint(source))]
    Unreachable {
        /// Its address.
        server: String,
        /// Why.
        source: RequestError,
    },
    /// The registry has said no: with a problem document (RFC 9457), of which this is the gist.
    #[error("the registry has answered {status}: {detail}")]
    Refused {
        /// The status code.
        status: u16,
        /// What to mend, in the registry's words.
        detail: String,
    },
    /// The answer is not a registry's: a proxy before it has answered, or the address is that of another server.
    #[error(
        "{server} has answered {status}, but not as a registry: is there a proxy before it, or is it another server?"
    )]
    NotARegistry {
        /// The address.
        server: String,
        /// The status code, which says nothing about what was asked for.
        status: u16,
    },
    /// The answer cannot be understood: that is no registry, or one of another version.
    #[error("the registry's answer cannot be understood: {0}")]
    Answer(String),
}

/// The parts of a problem document that are told on.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    errors: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    pointer: String,
    detail: String,
}

impl ClientError {
    /// What an answer without success means: a registry's has a problem document.
    pub(super) fn refused(server: &str, status: u16, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if problem.errors.len() > 1 => {
                let errors = problem.errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail));
                ClientError::Refused { status, detail: errors.collect::<Vec<_>>().join("; ") }
            }
            Ok(problem) => ClientError::Refused { status, detail: problem.detail },
            // Its page is not for a log.
            Err(_) => ClientError::NotARegistry { server: server.to_owned(), status },
        }
    }

    /// The error and its causes, for people.
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

    /// Returns true if and only if the same call may succeed later: the registry is down, busy, or restarting, or it is
    /// not the registry that has answered.
    pub fn may_pass(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::NotARegistry { .. } => true,
            ClientError::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            ClientError::Address { .. } | ClientError::Security(_) | ClientError::Answer(_) => false,
        }
    }

    /// The status code, when a registry has answered.
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
    fn a_refusal_is_told_in_the_registrys_words() {
        let one =
            br#"{"detail":"/name: must not be empty","errors":[{"pointer":"/name","detail":"must not be empty"}]}"#;
        assert_eq!(refused(422, one).to_string(), "the registry has answered 422: /name: must not be empty");
        let two =
            br#"{"detail":"x (and 1 more)","errors":[{"pointer":"/a","detail":"x"},{"pointer":"/b","detail":"y"}]}"#;
        assert_eq!(refused(422, two).to_string(), "the registry has answered 422: /a: x; /b: y");
    }

    #[test]
    fn the_page_of_a_proxy_is_no_answer_of_a_registry() {
        let error = refused(404, b"<html>");
        assert_eq!((error.status(), error.may_pass()), (None, true));
        assert!(error.to_string().contains("http://r/ has answered 404"), "{error}");
    }

    #[test]
    fn only_what_may_pass_is_worth_another_try() {
        for (status, passes) in [(400, false), (404, false), (409, false), (422, false), (429, true), (503, true)] {
            assert_eq!(refused(status, br#"{"detail":"x"}"#).may_pass(), passes, "{status}");
        }
    }
}
