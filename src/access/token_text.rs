//! The text of a token.
//!
//! `plr_<id>_<secret>`: the prefix lets scanners find tokens in source code and logs. The id names the token in lists
//! and is not secret. The secret has 256 random bits.

use std::fmt;
use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::clock::new_identity;
use domain::access::{SaltedHash, Token, TokenId, TokenTerms};

/// The prefix of every token.
pub const PREFIX: &str = "plr_";

/// The length of an id, in hexadecimal digits.
const ID_DIGITS: usize = 16;

/// The length of a secret, in hexadecimal digits.
const SECRET_DIGITS: usize = 64;

/// A new token. Only [`TokenText::reveal`] shows it.
pub struct TokenText {
    id: TokenId,
    secret: String,
}

impl TokenText {
    /// A new random token: 366 random bits, condensed to 256.
    pub fn generate() -> TokenText {
        let mut digest = Sha256::new();
        for _ in 0..3 {
            digest.update(new_identity().as_bytes());
        }
        let mut secret = String::with_capacity(SECRET_DIGITS);
        for byte in digest.finalize() {
            // Writing to a String cannot fail.
            let _written = write!(secret, "{byte:02x}");
        }
        let id: String = new_identity().simple().to_string().chars().take(ID_DIGITS).collect();
        TokenText { id: TokenId::named(&id), secret }
    }

    /// Its public id.
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    /// The hash of its secret, for the store.
    pub fn hash(&self) -> SaltedHash {
        SaltedHash::of(&self.secret, new_identity().into_bytes())
    }

    /// The token for the store, created by `by`.
    pub fn token(&self, terms: TokenTerms, by: &str, now: Timestamp) -> Token {
        Token::new(self.id.clone(), self.hash(), terms, by, now)
    }

    /// The text, for the single response that shows it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenText").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The id and the secret of a token's text; `None` if it is not a token.
pub fn parts(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_at_checked(ID_DIGITS)?;
    let secret = secret.strip_prefix('_').filter(|secret| secret.len() == SECRET_DIGITS)?;
    // The loop checks every byte without an early exit, so that the compiler can vectorise it.
    let is_hex = |text: &str| text.bytes().fold(true, |so_far, byte| so_far & byte_is_hex(byte));
    (is_hex(id) && is_hex(secret)).then_some((id, secret))
}

fn byte_is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_token_is_one_and_is_not_shown() {
        let token = TokenText::generate();
        let text = token.reveal();
        let (id, secret) = parts(&text).unwrap();
        assert_eq!(id, token.id().as_str());
        assert!(token.hash().is_of(secret));
        assert_ne!(text, TokenText::generate().reveal());
        assert!(!format!("{token:?}").contains(secret));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = format!("plr_{}_{}", "0".repeat(16), "a".repeat(64));
        assert!(parts(&good).is_some());
        for wrong in [
            String::new(),
            "plr_".into(),
            good.to_uppercase(),
            good.replace("plr_", "plr-"),
            good[..good.len() - 1].into(),
            format!("{good}0"),
            good.replace('a', "g"),
            good.replace('a', "é"),
        ] {
            assert!(parts(&wrong).is_none(), "{wrong}");
        }
    }
}
