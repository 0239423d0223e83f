//! The id of a token.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The public part of a token's text. It is not secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(Arc<str>);

impl TokenId {
    /// An id from a client or from the store.
    pub fn named(text: &str) -> TokenId {
        TokenId(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::borrow::Borrow<str> for TokenId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}
