//! The storage of tokens.
//!
//! Tokens are beside the journal, not in it. All viewers may read the history, but no client may read a hash; and the
//! time of last use changes with every request.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::StoreError;
use domain::access::token::MAX_TOKENS;
use domain::access::{Role, SaltedHash, Scope, Token, TokenId, TokenTerms};
use domain::plugin::{Name, json};

/// How long the store keeps a revoked token.
pub const REVOKED_FOR: SignedDuration = SignedDuration::from_hours(24 * 90);

/// The tokens of a store. The methods may wait for a disk; writes are durable when they return.
pub trait TokenStore: Send + Sync + 'static {
    /// All tokens, including revoked ones, oldest first.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn list(&self) -> Result<Vec<Token>, StoreError>;

    /// Adds a new token, and deletes tokens that were revoked long before.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn add(&self, token: &Token) -> Result<Addition, StoreError>;

    /// Revokes a token, and deletes its hash; returns false if no token of this id is in force.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn revoke(&self, id: &TokenId, at: Timestamp) -> Result<bool, StoreError>;

    /// Writes the times of last use, if they are later than the stored ones. This write need not be durable.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn note_uses(&self, uses: &[(TokenId, Timestamp)]) -> Result<(), StoreError>;

    /// Deletes all tokens and all traces of them: then the registry is open.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn clear(&self) -> Result<(), StoreError>;
}

/// The result of adding a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addition {
    /// The token was added.
    Done,
    /// Not added: another token in force has its name.
    NameTaken,
    /// Not added: the number of tokens is at its maximum.
    TooMany,
}

/// The columns of the table `tokens`.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The id.
    pub id: String,
    /// The name of its bearer.
    pub name: String,
    /// [`Role::as_str`].
    pub role: String,
    /// The scope as JSON.
    pub scope: Option<String>,
    /// The salted hash; null for a revoked token.
    pub hash: Option<String>,
    /// Times are microseconds since the Unix epoch.
    pub created_at: i64,
    /// The name of the principal that created it.
    pub created_by: Option<String>,
    /// When it expires.
    pub expires_at: Option<i64>,
    /// When it was last used.
    pub last_used_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

impl fmt::Debug for TokenRow {
    /// Without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRow").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl TryFrom<&Token> for TokenRow {
    type Error = StoreError;

    fn try_from(token: &Token) -> Result<TokenRow, StoreError> {
        let micros = |time: Option<Timestamp>| time.map(Timestamp::as_microsecond);
        let unwritable = |error| StoreError::unusable("a scope cannot be written", error);
        let scope = token.terms.scope.as_deref().map(serde_json::to_string).transpose().map_err(unwritable)?;
        Ok(TokenRow {
            id: token.id.to_string(),
            name: token.terms.name.to_string(),
            role: token.terms.role.as_str().to_owned(),
            scope,
            hash: token.revoked_at.is_none().then(|| token.hash.to_text()),
            created_at: micros(token.created_at).unwrap_or_default(),
            created_by: token.created_by.as_deref().map(str::to_owned),
            expires_at: micros(token.terms.expires_at),
            last_used_at: micros(token.last_used_at),
            revoked_at: micros(token.revoked_at),
        })
    }
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Token, StoreError> {
        let damaged = |what: &str| StoreError::refused(format!("the token {} in the store {what}", row.id));
        let time = |micros: Option<i64>| micros.map(super::row::time_from_sql).transpose();
        let scope = row.scope.as_deref().map(|text| {
            let value = json::parse(text.as_bytes()).map_err(|_| damaged("has a damaged scope"))?;
            Scope::read(value, "").map_err(|_| damaged("has a damaged scope"))
        });
        let hash = match (&row.hash, row.revoked_at) {
            (Some(hash), _) => SaltedHash::from_text(hash).ok_or_else(|| damaged("has a damaged hash"))?,
            // The hash of an empty secret, which no token has.
            (None, Some(_)) => SaltedHash::of("", [0; 16]),
            (None, None) => return Err(damaged("has no hash")),
        };
        let terms = TokenTerms {
            name: Name::new(&row.name).map_err(|_| damaged("has a damaged name"))?,
            role: Role::from_name(&row.role).ok_or_else(|| damaged("has an unknown role"))?,
            scope: scope.transpose()?.flatten().map(Into::into),
            expires_at: time(row.expires_at)?,
        };
        Ok(Token {
            id: TokenId::named(&row.id),
            terms,
            hash,
            created_at: time(Some(row.created_at))?,
            created_by: row.created_by.map(Into::into),
            last_used_at: time(row.last_used_at)?,
            revoked_at: time(row.revoked_at)?,
        })
    }
}

/// Adding a token at `now` deletes tokens revoked before this time.
pub fn forgotten_before(now: Option<Timestamp>) -> Timestamp {
    now.and_then(|now| now.saturating_sub(REVOKED_FOR).ok()).unwrap_or(Timestamp::MIN)
}

/// The tokens of one process, in memory.
#[derive(Debug, Default)]
pub struct MemoryTokens(Mutex<Vec<Token>>);

impl MemoryTokens {
    fn kept(&self) -> MutexGuard<'_, Vec<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All tokens, in the order of ids.
    pub(super) fn rows(&self) -> Result<Vec<TokenRow>, StoreError> {
        let mut rows = self.kept().iter().map(TokenRow::try_from).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(rows)
    }
}

impl TokenStore for MemoryTokens {
    fn list(&self) -> Result<Vec<Token>, StoreError> {
        Ok(self.kept().clone())
    }

    fn add(&self, token: &Token) -> Result<Addition, StoreError> {
        let mut kept = self.kept();
        let old = forgotten_before(token.created_at);
        let mut in_force = kept.iter().filter(|one| one.revoked_at.is_none());
        if in_force.clone().count() >= MAX_TOKENS {
            return Ok(Addition::TooMany);
        }
        if in_force.any(|one| one.terms.name == token.terms.name) {
            return Ok(Addition::NameTaken);
        }
        kept.retain(|one| one.revoked_at.is_none_or(|revoked| revoked >= old));
        kept.push(token.clone());
        Ok(Addition::Done)
    }

    fn revoke(&self, id: &TokenId, at: Timestamp) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let found = kept.iter_mut().find(|one| one.id == *id && one.revoked_at.is_none());
        let is_there = found.is_some();
        if let Some(token) = found {
            (token.revoked_at, token.hash) = (Some(at), SaltedHash::of("", [0; 16]));
        }
        Ok(is_there)
    }

    fn note_uses(&self, uses: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
        let mut kept = self.kept();
        for (id, at) in uses {
            if let Some(token) = kept.iter_mut().find(|one| one.id == *id) {
                token.last_used_at = token.last_used_at.max(Some(*at));
            }
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.kept().clear();
        Ok(())
    }
}
