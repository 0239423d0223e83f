//! Revisions, the identity of a store, and entity tags made of both.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A position in the history: 1, 2, 3 … without gaps, one for each change; 0 before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of the change after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a history. A new store and every restore get a new one, so that clients never mistake a restored
/// backup for the history they have seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct StoreId(Arc<str>);

impl StoreId {
    /// The identity of a new store.
    pub fn new(identity: Uuid) -> StoreId {
        StoreId(identity.simple().to_string().into())
    }

    /// An identity from a store.
    pub fn kept(text: &str) -> StoreId {
        StoreId(text.into())
    }

    /// The identity of a store that has not been loaded.
    pub(crate) fn unknown() -> StoreId {
        StoreId("".into())
    }

    /// The text: 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The content of an entity tag (RFC 9110 section 8.8.3): a revision in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    /// The store.
    pub store: StoreId,
    /// The revision.
    pub revision: Revision,
}

impl fmt::Display for EntityTag {
    /// `"<store>-<revision>"`, with its quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        f.write_str(self.store.as_str())?;
        f.write_str("-")?;
        self.revision.fmt(f)?;
        f.write_str("\"")
    }
}

/// A tag that this service did not make. It matches nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct ForeignTag;

impl FromStr for EntityTag {
    type Err = ForeignTag;

    fn from_str(text: &str) -> Result<EntityTag, ForeignTag> {
        let opaque = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(ForeignTag)?;
        let (store, revision) = opaque.rsplit_once('-').ok_or(ForeignTag)?;
        let revision: u64 = revision.parse().map_err(|_| ForeignTag)?;
        let tag = EntityTag { store: StoreId::kept(store), revision: Revision(revision) };
        // Only one spelling is valid: "+7" and "07" are other tags.
        if tag.to_string() == text { Ok(tag) } else { Err(ForeignTag) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        let tag = EntityTag { store: StoreId::new(Uuid::from_u128(7)), revision: Revision(42) };
        assert_eq!(tag.to_string().parse(), Ok(tag));
        for foreign in ["", "\"\"", "\"abc\"", "\"s-07\"", "\"s-+7\"", "s-7", "\"s-\""] {
            assert_eq!(foreign.parse::<EntityTag>(), Err(ForeignTag), "{foreign}");
        }
    }
}
