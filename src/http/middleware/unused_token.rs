//! Reports a token that a registry without tokens ignores, in the response and in the log.
//!
//! Otherwise any token would appear to grant access, for example if the server runs on another store than the one in
//! which `token create` created the token.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::warn;

/// The header that reports that the registry ignores the token of the request.
pub const REGISTRY_TOKENS: HeaderName = HeaderName::from_static("registry-tokens");

/// Its only value.
pub const NOT_CONFIGURED: HeaderValue = HeaderValue::from_static("not-configured");

/// The shortest time between two log lines.
const PAUSE: Duration = Duration::from_mins(1);

/// Marks a request that sent a token to a registry without tokens.
#[derive(Debug, Clone, Copy)]
pub struct UnusedToken;

impl UnusedToken {
    /// `Some` if the request to a registry without tokens carries a token.
    pub fn shown(headers: &HeaderMap) -> Option<UnusedToken> {
        let is_bearer = |value: &HeaderValue| {
            let scheme = value.as_bytes().split(|byte| *byte == b' ').next();
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
        };
        headers.get_all(AUTHORIZATION).iter().any(is_bearer).then_some(UnusedToken)
    }
}

/// The time of the last log line.
#[derive(Debug, Default)]
pub struct UnusedTokens(Mutex<Option<Instant>>);

impl UnusedTokens {
    /// Reports a token: in every response, and in the log at most once a minute.
    pub fn note(&self, headers: &mut HeaderMap) {
        headers.insert(REGISTRY_TOKENS, NOT_CONFIGURED);
        if self.is_due(Instant::now()) {
            warn!(
                "a client sent a token, but no tokens are configured, so the registry ignores it. Is this the store in \
                 which `plugin-registry token create` created the token?"
            );
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_minute_is_logged() {
        let tokens = UnusedTokens::default();
        let begin = Instant::now();
        let due = |seconds| tokens.is_due(begin + Duration::from_secs(seconds));
        assert_eq!([0, 1, 59, 60, 61, 119, 120].map(due), [true, false, false, true, false, false, true]);
    }

    #[test]
    fn only_a_bearer_shows_a_token() {
        for (value, is_shown) in [("Bearer x", true), ("bearer", true), ("Basic Og==", false), ("Bearerx", false)] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(UnusedToken::shown(&headers).is_some(), is_shown, "{value}");
        }
        assert!(UnusedToken::shown(&HeaderMap::new()).is_none());
    }
}
