//! Secrets that sign deliveries.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::clock::new_identity;

/// The prefix of a secret's text.
pub const PREFIX: &str = "whsec_";

/// The length of a secret in bytes (Standard Webhooks, "Signature scheme").
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that the service shares with a target. Only [`Secret::as_str`] reveals the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Generates a secret with 244 random bits.
    pub fn generate() -> Secret {
        let bytes = [new_identity().into_bytes(), new_identity().into_bytes()].concat();
        Secret(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// Parses a secret: `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    ///
    /// The form of a secret; the error never repeats the input.
    pub fn read(text: &str) -> Result<Secret, &'static str> {
        let bytes = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        match bytes {
            Some(bytes) if BYTES.contains(&bytes.len()) => Ok(Secret(text.to_owned())),
            _ => Err("must be `whsec_` followed by 24 to 64 bytes in base64"),
        }
    }

    /// The text, for the store and for the reply that creates the webhook.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The header field `webhook-signature` of a message; `None` only for a payload that is not UTF-8.
    pub fn sign(&self, id: &str, at: Timestamp, payload: &[u8]) -> Option<String> {
        let signer = standardwebhooks::Webhook::new(&self.0).ok()?;
        signer.sign(id, at.as_second(), payload).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_is_one_and_is_not_shown() {
        let secret = Secret::generate();
        assert_eq!(Secret::read(secret.as_str()), Ok(secret.clone()));
        assert_ne!(secret, Secret::generate());
        assert!(!format!("{secret:?}").contains(&secret.as_str()[6..]));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let of = |bytes: usize| format!("{PREFIX}{}", STANDARD.encode(vec![7; bytes]));
        assert!(Secret::read(&of(24)).is_ok() && Secret::read(&of(64)).is_ok());
        for wrong in [of(23), of(65), STANDARD.encode([7; 24]), PREFIX.into(), format!("{PREFIX}?"), String::new()] {
            assert!(Secret::read(&wrong).is_err(), "{wrong}");
        }
    }

    /// The example from the library of Standard Webhooks.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = Secret::read("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let signed = secret.sign(
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            Timestamp::from_second(1_649_367_553).unwrap(),
            br#"{"email":"test@example.com","username":"test_user"}"#,
        );
        assert_eq!(signed.as_deref(), Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="));
    }
}
