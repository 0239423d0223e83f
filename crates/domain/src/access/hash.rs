//! The salted hash that the registry stores instead of a token's secret.
//!
//! SHA-256 of a salt and the secret. Slow hashes (argon2, scrypt) protect passwords that people choose. A secret of 256
//! random bits cannot be guessed however fast the hash is, and every request must check one. The salt keeps a reader
//! from seeing that two stores hold the same token.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{LazyLock, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The prefix of a hash's text: the algorithm.
const SCHEME: &str = "sha256";

/// A salted hash of a secret.
#[derive(Clone)]
pub struct SaltedHash {
    salt: [u8; 16],
    digest: [u8; 32],
    /// The [`tag`] of the secret, set after this process has checked the secret once. SHA-256 would be the most
    /// expensive part of many requests.
    shown: OnceLock<u64>,
}

impl SaltedHash {
    /// Hashes a secret with a salt, which must be random and new.
    pub fn of(secret: &str, salt: [u8; 16]) -> SaltedHash {
        SaltedHash { salt, digest: digest(&salt, secret), shown: OnceLock::new() }
    }

    /// Returns true if and only if this is the hash of `secret`. The comparison takes constant time.
    pub fn is_of(&self, secret: &str) -> bool {
        let tag = tag(secret);
        if self.shown.get().is_some_and(|shown| shown.ct_eq(&tag).into()) {
            return true;
        }
        let is_of = digest(&self.salt, secret).ct_eq(&self.digest).into();
        if is_of {
            self.shown.get_or_init(|| tag);
        }
        is_of
    }

    /// The text for a store or a file: `sha256:SALT:DIGEST`, both in base64.
    pub fn to_text(&self) -> String {
        format!("{SCHEME}:{}:{}", STANDARD_NO_PAD.encode(self.salt), STANDARD_NO_PAD.encode(self.digest))
    }

    /// Parses the output of [`SaltedHash::to_text`]; `None` if `text` has another form.
    pub fn from_text(text: &str) -> Option<SaltedHash> {
        let (salt, digest) = text.strip_prefix(SCHEME)?.strip_prefix(':')?.split_once(':')?;
        let bytes = |text: &str| STANDARD_NO_PAD.decode(text).ok();
        let (salt, digest) = (bytes(salt)?.try_into().ok()?, bytes(digest)?.try_into().ok()?);
        Some(SaltedHash { salt, digest, shown: OnceLock::new() })
    }
}

impl fmt::Debug for SaltedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedHash(…)")
    }
}

fn digest(salt: &[u8], secret: &str) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix(salt);
    digest.update(secret);
    digest.finalize().into()
}

/// The secret's SipHash under a random key that never leaves this process. Without the key a caller cannot find texts
/// with equal tags: a guess succeeds with probability 2^-64.
fn tag(secret: &str) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_and_no_other() {
        let hash = SaltedHash::of("one", [1; 16]);
        let read = SaltedHash::from_text(&hash.to_text()).unwrap();
        for other in ["", "on", "one ", "One", "two"] {
            assert!(!hash.is_of(other), "{other}, before the secret was shown");
        }
        assert!(hash.is_of("one") && read.is_of("one"));
        assert!(hash.is_of("one"), "a second time");
        for other in ["", "on", "one ", "One", "two"] {
            assert!(!read.is_of(other), "{other}");
        }
        assert_ne!(hash.to_text(), SaltedHash::of("one", [2; 16]).to_text(), "the salt differs");
        assert!(!hash.to_text().contains("one") && !format!("{hash:?}").contains("one"));
    }

    #[test]
    fn what_is_no_hash_is_none() {
        for wrong in ["", "sha256", "sha256:", "sha256::", "sha256:AAAA:AAAA", "sha512:a:b", "plr_0_0"] {
            assert!(SaltedHash::from_text(wrong).is_none(), "{wrong}");
        }
    }
}
