//! What the clients were told, which no crash may take back.
//!
//! A reply to a write and a reply to a read count alike: whoever has seen a revision may have acted on it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::content::Content;
use crate::image::{Documents, Image};
use crate::violation::Violation;

/// Everything seen so far, over all lives of the server.
#[derive(Default)]
pub(crate) struct Witnesses {
    documents: BTreeMap<u64, Seen>,
    removals: Vec<Removal>,
    /// Digest of the plugins listed, by the list's revision.
    lists: BTreeMap<u64, u64>,
    head: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    unique_id: String,
    content: Content,
}

/// An acknowledged DELETE. Its reply does not say the revision, only bounds: after the plugin's last
/// acknowledged change, and not after the head that the reply bears.
struct Removal {
    unique_id: String,
    after: u64,
    until: u64,
}

impl Witnesses {
    /// Notes a plugin's document; returns its revision if nobody saw that before.
    ///
    /// # Errors
    /// When it is no whole document, or when the same revision was seen with another content.
    pub(crate) fn saw_document(&mut self, document: &Value) -> Result<Option<u64>, Violation> {
        let (unique_id, revision) = key(document)?;
        let content = Content::of(document).map_err(Violation::Half)?;
        let seen = Seen { unique_id, content };
        match self.documents.get(&revision) {
            None => {
                self.documents.insert(revision, seen);
                self.saw_head(revision);
                Ok(Some(revision))
            }
            Some(first) if *first == seen => Ok(None),
            Some(first) => Err(Violation::Twice(format!("{revision} was {first:?} and now is {seen:?}"))),
        }
    }

    /// Notes a whole list, taken at `revision`; returns the revisions in it that nobody saw before.
    ///
    /// # Errors
    /// As of [`Witnesses::saw_document`], and when two lists of one revision differ.
    pub(crate) fn saw_list(&mut self, revision: u64, items: &[Value]) -> Result<Vec<u64>, Violation> {
        let mut new = Vec::new();
        let mut digest = 0;
        for item in items {
            new.extend(self.saw_document(item)?);
            let (unique_id, changed) = key(item)?;
            if changed > revision {
                return Err(Violation::NotOneRevision(format!("{unique_id} is of {changed}, the list of {revision}")));
            }
            digest ^= digest_of(&unique_id, changed);
        }
        if *self.lists.entry(revision).or_insert(digest) != digest {
            return Err(Violation::NotOneRevision(format!("two lists of revision {revision} differ")));
        }
        new.extend(self.saw_head(revision));
        Ok(new)
    }

    /// Notes that some reply bore `revision`; returns it if nobody saw one as new.
    pub(crate) fn saw_head(&mut self, revision: u64) -> Option<u64> {
        let is_new = revision > self.head;
        self.head = self.head.max(revision);
        is_new.then_some(revision)
    }

    /// Notes an acknowledged DELETE of a plugin whose last acknowledged change was `after`; the reply bore `until`,
    /// which is returned if nobody saw a revision as new.
    pub(crate) fn saw_removal(&mut self, unique_id: &str, after: u64, until: u64) -> Option<u64> {
        self.removals.push(Removal { unique_id: unique_id.to_owned(), after, until });
        self.saw_head(until)
    }

    /// How many revisions were seen with their content, or removed.
    pub(crate) fn seen(&self) -> u64 {
        (self.documents.len() + self.removals.len()) as u64
    }

    /// Checks that the journal of `image` holds all that was ever seen, in whole documents, and that each list was
    /// what the journal says of its revision.
    ///
    /// # Errors
    /// The first promise that does not hold.
    pub(crate) fn check(&self, image: &Image, documents: &mut Documents) -> Result<(), Violation> {
        documents.check_all(image)?;
        self.check_revision(self.head, image, documents)?;
        for revision in self.documents.keys() {
            self.check_revision(*revision, image, documents)?;
        }
        self.check_removals(image)?;
        self.check_lists(image)
    }

    /// Checks that the journal of `image` goes up to `revision`, and says of it what was seen.
    ///
    /// # Errors
    /// `Violation::Lost` or `Violation::Twice`.
    pub(crate) fn check_revision(
        &self,
        revision: u64,
        image: &Image,
        documents: &mut Documents,
    ) -> Result<(), Violation> {
        if revision > image.head {
            return Err(Violation::Lost(format!("{revision} was seen, the journal ends with {}", image.head)));
        }
        let (Some(seen), Some(change)) = (self.documents.get(&revision), image.change(revision)) else {
            return Ok(());
        };
        let same = match &change.document {
            Some(document) => {
                change.subject == seen.unique_id && *documents.content(revision, document)? == seen.content
            }
            None => false,
        };
        if same {
            Ok(())
        } else {
            Err(Violation::Twice(format!("{revision} was {seen:?}, the journal says {change:?}")))
        }
    }

    fn check_removals(&self, image: &Image) -> Result<(), Violation> {
        let mut removed: HashMap<&str, Vec<u64>> = HashMap::new();
        for (revision, change) in (1..).zip(&image.changes).filter(|(_, change)| change.kind == "plugin.removed") {
            removed.entry(&change.subject).or_default().push(revision);
        }
        for Removal { unique_id, after, until } in &self.removals {
            let revisions = removed.get(unique_id.as_str()).map_or(&[][..], Vec::as_slice);
            if !revisions.iter().any(|revision| after < revision && revision <= until) {
                return Err(Violation::Lost(format!("removal of {unique_id}, after {after} and until {until}")));
            }
        }
        Ok(())
    }

    fn check_lists(&self, image: &Image) -> Result<(), Violation> {
        let mut standing: HashMap<&str, u64> = HashMap::new();
        let mut digest = 0;
        for (revision, change) in (1..).zip(&image.changes) {
            if let Some(previous) = standing.remove(change.subject.as_str()) {
                digest ^= digest_of(&change.subject, previous);
            }
            if change.kind != "plugin.removed" {
                standing.insert(&change.subject, revision);
                digest ^= digest_of(&change.subject, revision);
            }
            if self.lists.get(&revision).is_some_and(|listed| *listed != digest) {
                return Err(Violation::NotOneRevision(format!(
                    "the list of {revision} is not what the journal replays to"
                )));
            }
        }
        Ok(())
    }
}

fn key(document: &Value) -> Result<(String, u64), Violation> {
    let unique_id = document.get("unique_id").and_then(Value::as_str);
    let revision = document.get("revision").and_then(Value::as_u64);
    match (unique_id, revision) {
        (Some(unique_id), Some(revision)) => Ok((unique_id.to_owned(), revision)),
        _ => Err(Violation::WrongReply(format!("no unique_id or no revision: {document}"))),
    }
}

/// The digests of a list's rows are combined by exclusive or: the order does not count, and replaying one change
/// costs two of them.
fn digest_of(unique_id: &str, revision: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (unique_id, revision).hash(&mut hasher);
    hasher.finish()
}
