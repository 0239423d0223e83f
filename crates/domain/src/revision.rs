//! Revisions, the identity of a store, and entity tags made of both.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A position in the history: 1, 2, 3 … without a gap, one for each change; 0 before the first.
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

/// Which history a revision belongs to: made with the store, and anew at every restore, so that a
/// restored backup is never mistaken for the history that a client has seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct StoreId(Arc<str>);

impl StoreId {
    /// The identity of a new store.
    pub fn new(identity: Uuid) -> StoreId {
        StoreId(identity.simple().to_string().into())
    }

    /// An identity that was kept.
    pub fn kept(text: &str) -> StoreId {
        StoreId(text.into())
    }

    /// That of a store which has not been read yet.
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

/// What an entity tag (RFC 9110 section 8.8.3) says: the revision of what it tags, in its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    /// Whose revision it is.
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

/// A tag that this service has not made, and that therefore matches nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct ForeignTag;

impl FromStr for EntityTag {
    type Err = ForeignTag;

    fn from_str(text: &str) -> Result<EntityTag, ForeignTag> {
        let opaque = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(ForeignTag)?;
        let (store, revision) = opaque.rsplit_once('-').ok_or(ForeignTag)?;
        let revision: u64 = revision.parse().map_err(|_| ForeignTag)?;
        let tag = EntityTag { store: StoreId::kept(store), revision: Revision(revision) };
        // Only the one spelling is ours: "+7" and "07" are other tags.
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
