//! How a call to the registry fails.

use serde::Deserialize;

use crate::net::RequestError;

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
    #[error("the registry at {server} cannot be reached")]
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
    },
    /// The response is malformed: another server, or a registry of another version.
    #[error("the registry's response is malformed: {0}")]
    Answer(String),
}

/// The fields of a problem document that the error shows.
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
    pub(super) fn refused(status: u16, body: &[u8]) -> ClientError {
        let detail = match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if problem.errors.len() > 1 => {
                let errors = problem.errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail));
                errors.collect::<Vec<_>>().join("; ")
            }
            Ok(problem) => problem.detail,
            // A proxy's page, perhaps: not for a log.
            Err(_) => "without a problem document".into(),
        };
        ClientError::Refused { status, detail }
    }

    /// Returns true if and only if the same call may succeed later: the registry is down, busy, or restarting.
    pub fn may_pass(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } => true,
            ClientError::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            ClientError::Address { .. } | ClientError::Security(_) | ClientError::Answer(_) => false,
        }
    }

    /// The status code, if the registry responded.
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

    #[test]
    fn a_refusal_shows_the_registrys_words() {
        let one =
            br#"{"detail":"/name: must not be empty","errors":[{"pointer":"/name","detail":"must not be empty"}]}"#;
        assert_eq!(
            ClientError::refused(422, one).to_string(),
            "the registry has answered 422: /name: must not be empty"
        );
        let two =
            br#"{"detail":"x (and 1 more)","errors":[{"pointer":"/a","detail":"x"},{"pointer":"/b","detail":"y"}]}"#;
        assert_eq!(ClientError::refused(422, two).to_string(), "the registry has answered 422: /a: x; /b: y");
        assert!(ClientError::refused(502, b"<html>").to_string().contains("502"));
    }

    #[test]
    fn only_temporary_failures_may_pass() {
        for (status, passes) in [(400, false), (404, false), (409, false), (422, false), (429, true), (503, true)] {
            assert_eq!(ClientError::refused(status, b"{}").may_pass(), passes, "{status}");
        }
    }
}
