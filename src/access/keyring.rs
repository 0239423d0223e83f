//! The tokens in force, for the authentication of every request. A keyring never changes; a change of tokens makes a
//! new one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fnv::FnvBuildHasher;
use jiff::Timestamp;

use super::token_text;
use domain::access::{Principal, Token, TokenId};

/// The precision of a token's last use, in microseconds. With a finer one, all processors would contend for one cache
/// line.
const USE_GRAIN: i64 = 1_000_000;

/// The prefix of an `Authorization` field, in letters of any case.
const SCHEME: &str = "Bearer ";

/// Why a request has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The request has no token.
    #[error("the request has no token; send one as `Authorization: Bearer plr_…`")]
    NoToken,
    /// The field does not contain a token of this service.
    #[error("the header field Authorization must be `Bearer` followed by a token that begins with `plr_`")]
    Malformed,
    /// The token is not in force. The caller must not learn which of the reasons applies.
    #[error("the token is unknown or was revoked; use another one")]
    Unknown,
    /// The token has expired.
    #[error("the token has expired; ask an admin for a new one")]
    Expired,
}

/// A token in force.
#[derive(Debug)]
pub struct KeyringEntry {
    /// The token.
    pub token: Token,
    /// Whether it comes from the file.
    pub is_of_file: bool,
    principal: Principal,
    /// When it was last used, in microseconds since the Unix epoch.
    used: AtomicI64,
}

/// All tokens in force.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: HashMap<TokenId, Arc<KeyringEntry>, FnvBuildHasher>,
    is_open: bool,
}

impl KeyringEntry {
    /// When it was last used, as far as this process or the store knows.
    pub fn last_used(&self) -> Option<Timestamp> {
        let here = Some(self.used.load(Ordering::Relaxed)).filter(|used| *used > i64::MIN);
        here.and_then(|used| Timestamp::from_microsecond(used).ok()).max(self.token.last_used_at)
    }

    fn note_use(&self, now: Timestamp) {
        let now = now.as_microsecond();
        if now.saturating_sub(self.used.load(Ordering::Relaxed)) >= USE_GRAIN {
            self.used.store(now, Ordering::Relaxed);
        }
    }
}

impl Keyring {
    /// The keyring of the tokens of a store and of a file, without revoked ones. Times of last use are copied from
    /// `before`.
    ///
    /// Without any token and without a file the keyring is open. A revoked or expired token keeps it closed: removing a
    /// token never opens a registry.
    pub fn new(stored: Vec<Token>, of_file: Option<Vec<Token>>, before: Option<&Keyring>) -> Keyring {
        let is_open = stored.is_empty() && of_file.is_none();
        let stored = stored.into_iter().filter(|token| token.revoked_at.is_none()).map(|token| (token, false));
        let of_file = of_file.into_iter().flatten().map(|token| (token, true));
        let key = |(token, is_of_file): (Token, bool)| {
            let known = before.and_then(|before| before.keys.get(&token.id));
            let used = known.map_or(i64::MIN, |known| known.used.load(Ordering::Relaxed));
            let principal = token.principal();
            (token.id.clone(), Arc::new(KeyringEntry { token, is_of_file, principal, used: used.into() }))
        };
        Keyring { keys: stored.chain(of_file).map(key).collect(), is_open }
    }

    /// Returns true if and only if no tokens are configured. Then requests need none.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// All entries, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<KeyringEntry>> {
        self.keys.values()
    }

    /// The entry of a token.
    pub fn key(&self, id: &str) -> Option<&Arc<KeyringEntry>> {
        self.keys.get(id)
    }

    /// The principal of the token in an `Authorization` field (RFC 6750 section 2.1).
    ///
    /// # Errors
    ///
    /// If the field has no token in force.
    pub fn authenticate(&self, authorization: Option<&[u8]>, now: Timestamp) -> Result<&Principal, Denial> {
        let text = str::from_utf8(authorization.ok_or(Denial::NoToken)?).map_err(|_| Denial::Malformed)?;
        let (scheme, token) = text.split_at_checked(SCHEME.len()).ok_or(Denial::Malformed)?;
        let parts = token_text::parts(token.trim_matches(' ')).filter(|_| scheme.eq_ignore_ascii_case(SCHEME));
        let (id, secret) = parts.ok_or(Denial::Malformed)?;
        let key = self.keys.get(id).filter(|key| key.token.hash.is_of(secret)).ok_or(Denial::Unknown)?;
        if key.token.is_expired(now) {
            return Err(Denial::Expired);
        }
        key.note_use(now);
        Ok(&key.principal)
    }

    /// Returns true if and only if the keyring still grants `principal` the same authority. Long-lived responses check
    /// this.
    pub fn still_admits(&self, principal: &Principal, now: Timestamp) -> bool {
        match &principal.token {
            None => self.is_open,
            Some(id) => {
                let key = self.keys.get(id);
                key.is_some_and(|key| key.principal == *principal && !key.token.is_expired(now))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::TokenText;
    use domain::access::TokenTerms;

    fn token(document: serde_json::Value) -> (Token, String) {
        let new = TokenText::generate();
        let terms = TokenTerms::read(document, "").unwrap();
        let (id, hash) = (new.id().clone(), new.hash());
        let token = Token { id, terms, hash, created_at: None, created_by: None, last_used_at: None, revoked_at: None };
        (token, new.reveal())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_bearer_is_known_by_its_token_and_by_nothing_else() {
        let (one, text) = token(json!({"name": "one", "role": "viewer"}));
        let (other, _) = token(json!({"name": "other", "role": "admin"}));
        let (id, other_id) = (one.id.clone(), other.id.clone());
        let ring = Keyring::new(vec![one, other], None, None);
        let ask = |field: &str| ring.authenticate(Some(field.as_bytes()), at(1)).map(|principal| principal.role);
        for good in [format!("Bearer {text}"), format!("bearer {text}"), format!("BEARER  {text} ")] {
            assert_eq!(ask(&good), Ok(domain::access::Role::Viewer), "{good}");
        }
        for malformed in
            ["", "Bearer", "Bearer ", &text, "Basic YTpi", &format!("Basic {text}"), "Bearer plr_0_0", "Bearer é"]
        {
            assert_eq!(ask(malformed), Err(Denial::Malformed), "{malformed}");
        }
        assert_eq!(ring.authenticate(None, at(1)), Err(Denial::NoToken));
        assert_eq!(ring.authenticate(Some(b"Bearer \xff"), at(1)), Err(Denial::Malformed));
        // A correct secret under another id, and a wrong secret.
        assert_eq!(ask(&format!("Bearer {}", text.replace(id.as_str(), other_id.as_str()))), Err(Denial::Unknown));
        let last = if text.ends_with('0') { "1" } else { "0" };
        assert_eq!(ask(&format!("Bearer {}{last}", &text[..text.len() - 1])), Err(Denial::Unknown));
    }

    #[test]
    fn what_is_over_or_revoked_lets_nobody_in_and_opens_nothing() {
        let (mut one, text) = token(json!({"name": "one", "role": "admin", "expires_at": "1970-01-01T00:00:10Z"}));
        let field = format!("Bearer {text}");
        let ring = Keyring::new(vec![one.clone()], None, None);
        let principal = ring.authenticate(Some(field.as_bytes()), at(9)).unwrap().clone();
        assert!(ring.still_admits(&principal, at(9)) && !ring.still_admits(&principal, at(10)));
        assert_eq!(ring.authenticate(Some(field.as_bytes()), at(10)), Err(Denial::Expired));
        one.revoked_at = Some(at(5));
        let ring = Keyring::new(vec![one], None, None);
        assert_eq!(ring.authenticate(Some(field.as_bytes()), at(6)), Err(Denial::Unknown));
        assert!(!ring.still_admits(&principal, at(6)) && !ring.is_open());
        assert!(!Keyring::new(Vec::new(), Some(Vec::new()), None).is_open(), "a file is there, and has no tokens");
        let open = Keyring::new(Vec::new(), None, None);
        assert!(open.is_open() && open.still_admits(&Principal::unrestricted(), at(1)));
        assert!(!ring.still_admits(&Principal::unrestricted(), at(1)));
    }

    #[test]
    fn when_a_token_was_used_is_known_also_after_the_keyring_was_made_anew() {
        let (one, text) = token(json!({"name": "one", "role": "viewer"}));
        let id = one.id.clone();
        let ring = Keyring::new(vec![one.clone()], None, None);
        assert_eq!(ring.key(id.as_str()).unwrap().last_used(), None);
        ring.authenticate(Some(format!("Bearer {text}").as_bytes()), at(100)).unwrap();
        let again = Keyring::new(vec![one], None, Some(&ring));
        assert_eq!(again.key(id.as_str()).unwrap().last_used(), Some(at(100)));
    }
}
