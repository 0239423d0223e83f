//! A token as stored: its terms, and the hash of its secret.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::hash::SaltedHash;
use super::principal::{ANONYMOUS, Principal};
use super::role::Role;
use super::scope::Scope;
use super::token_id::TokenId;
use crate::plugin::read::{ObjectReader, nullable, one_of, string};
use crate::plugin::{Invalid, Name, time};

/// The maximum number of tokens in force.
pub const MAX_TOKENS: usize = 1000;

/// The terms that an admin sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// The name of its bearer, for people and events.
    pub name: Name,
    /// Its role.
    pub role: Role,
    /// The plugins it is limited to; `None` for all.
    pub scope: Option<Arc<Scope>>,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its public id.
    pub id: TokenId,
    /// The terms that an admin set.
    pub terms: TokenTerms,
    /// The hash of its secret.
    pub hash: SaltedHash,
    /// When it was created; `None` for a token from a file.
    pub created_at: Option<Timestamp>,
    /// The name of the principal that created it.
    pub created_by: Option<Box<str>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TokenTerms {
    /// The fields of the JSON document.
    pub const FIELDS: &[&str] = &["name", "role", "scope", "expires_at"];

    /// Reads the terms of a new token.
    ///
    /// # Errors
    ///
    /// Every wrong place.
    pub fn read(value: Value, pointer: &str) -> Result<TokenTerms, Invalid> {
        let mut fields = ObjectReader::new(value, pointer, TokenTerms::FIELDS, &[])?;
        let terms = TokenTerms::take(&mut fields);
        fields.finish()?;
        // `finish` refuses a document that lacks either.
        let terms = terms.ok_or_else(|| Invalid::at(pointer, "name and role are required"))?;
        terms.check(pointer)?;
        let is_visible = terms.name.require_visible();
        is_visible.map_err(|detail| Invalid::at(format!("{pointer}/name"), detail))?;
        Ok(terms)
    }

    /// Takes these fields out of a document that has other fields too; `None` if one is missing or wrong.
    pub fn take(fields: &mut ObjectReader) -> Option<TokenTerms> {
        let name = fields.required("name", Name::read);
        let role = fields.required("role", one_of(Role::NAMES, Role::from_name));
        let scope = fields.optional("scope", nullable(Scope::read)).flatten().flatten();
        let expires_at = fields.optional("expires_at", nullable(read_time)).flatten();
        Some(TokenTerms { name: name?, role: role?, scope: scope.map(Arc::new), expires_at })
    }

    /// Refuses contradictory terms.
    ///
    /// # Errors
    ///
    /// Each contradiction, with its place.
    pub fn check(&self, pointer: &str) -> Result<(), Invalid> {
        if self.name.as_str() == ANONYMOUS {
            let detail = format!("`{ANONYMOUS}` is the name of callers without a token; choose another name");
            return Err(Invalid::at(format!("{pointer}/name"), detail));
        }
        if self.scope.is_some() && !self.role.takes_scope() {
            let detail =
                format!("only reporters and agents can have a scope; remove it for role `{}`", self.role.as_str());
            return Err(Invalid::at(format!("{pointer}/scope"), detail));
        }
        Ok(())
    }
}

impl Token {
    /// A new token, created by `by`.
    pub fn new(id: TokenId, hash: SaltedHash, terms: TokenTerms, by: &str, now: Timestamp) -> Token {
        Token {
            id,
            terms,
            hash,
            created_at: Some(now),
            created_by: Some(by.into()),
            last_used_at: None,
            revoked_at: None,
        }
    }

    /// The principal that the bearer acts as.
    pub fn principal(&self) -> Principal {
        Principal {
            name: self.terms.name.as_str().into(),
            role: self.terms.role,
            scope: self.terms.scope.clone(),
            token: Some(self.id.clone()),
        }
    }

    /// Returns true if and only if the token has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.terms.expires_at.is_some_and(|end| end <= now)
    }
}

fn read_time(value: Value, pointer: &str) -> Result<Timestamp, Invalid> {
    let wrong = || Invalid::at(pointer, "must be a time such as 2027-01-31T00:00:00Z (RFC 3339)");
    let time = time::parse(&string(value, pointer)?).ok_or_else(wrong)?;
    // To the precision that the store keeps.
    Timestamp::from_microsecond(time.as_microsecond()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn terms_are_read_strictly() {
        let whole =
            json!({"name": "n", "role": "reporter", "scope": {"hosts": ["h"]}, "expires_at": "2027-01-31T00:00:00Z"});
        let read = TokenTerms::read(whole, "").unwrap();
        assert_eq!((read.name.as_str(), read.role), ("n", Role::Reporter));
        assert!(read.scope.is_some() && read.expires_at.is_some());
        let bare =
            TokenTerms::read(json!({"name": "n", "role": "admin", "scope": null, "expires_at": null}), "").unwrap();
        assert!(bare.scope.is_none() && bare.expires_at.is_none());
        for (wrong, pointer) in [
            (json!({"role": "admin"}), "/name"),
            (json!({"name": "n"}), "/role"),
            (json!({"name": "n", "role": "root"}), "/role"),
            (json!({"name": "anonymous", "role": "admin"}), "/name"),
            (json!({"name": "n", "role": "viewer", "scope": {"hosts": ["h"]}}), "/scope"),
            (json!({"name": "n", "role": "admin", "scope": {"hosts": ["h"]}}), "/scope"),
            (json!({"name": "n", "role": "agent", "scope": {"host": ["h"]}}), "/scope/host"),
            (json!({"name": "n", "role": "agent", "expires_at": "tomorrow"}), "/expires_at"),
            // Mass assignment.
            (json!({"name": "n", "role": "agent", "id": "0"}), "/id"),
            (json!({"name": "n", "role": "agent", "hash": "0"}), "/hash"),
            (json!({"name": "n", "role": "agent", "created_by": "me"}), "/created_by"),
        ] {
            let Invalid(errors) = TokenTerms::read(wrong.clone(), "").unwrap_err();
            assert_eq!(errors[0].pointer, pointer, "{wrong}: {errors:?}");
        }
    }
}
