//! The identity of a plugin: its (category, name), and the `unique_id` made from them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::{Invalid, string};

/// The maximum number of characters (Unicode scalar values) in a name or a category.
pub const MAX_NAME_CHARS: usize = 256;

/// A plugin's name, or a category: 1 to [`MAX_NAME_CHARS`] characters of any script, without control characters and
/// without leading or trailing white space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(#[serde(serialize_with = "as_text")] Arc<str>);

impl Name {
    /// Validates a name.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks, in words.
    pub fn new(text: &str) -> Result<Name, String> {
        if text.is_empty() {
            return Err("must not be empty".into());
        }
        if text.chars().nth(MAX_NAME_CHARS).is_some() {
            return Err(format!("must be at most {MAX_NAME_CHARS} characters long"));
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters".into());
        }
        if text.trim() != text {
            return Err("must not begin or end with white space".into());
        }
        Ok(Name(text.into()))
    }

    /// Refuses invisible characters that make one name look like another: embeddings, overrides and isolates of the
    /// direction of text, the zero width space, and the byte order mark. Joiners stay: scripts and emoji need them.
    ///
    /// Only new names are checked. A store may have older ones, which must stay usable.
    ///
    /// # Errors
    ///
    /// The first such character.
    pub fn require_visible(&self) -> Result<(), String> {
        match self.0.chars().find(|char| is_deceptive(*char)) {
            None => Ok(()),
            Some(char) => Err(format!(
                "must not contain U+{:04X}, which is invisible and can make this name look like another one",
                u32::from(char)
            )),
        }
    }

    pub(crate) fn read(value: Value, pointer: &str) -> Result<Name, Invalid> {
        let text = string(value, pointer)?;
        Name::new(&text).map_err(|detail| Invalid::at(pointer, detail))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_deceptive(char: char) -> bool {
    matches!(char, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Name, String> {
        Name::new(&text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The identity of a plugin: two plugins are the same if and only if both parts are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginKey {
    /// The category, for example `transcription`.
    pub category: Name,
    /// The name within the category.
    pub name: Name,
}

impl PluginKey {
    /// `{category}_{name}`, as in the source model.
    ///
    /// The mapping is not injective: ("a_b", "c") and ("a", "b_c") have the same id. The registry accepts only one of
    /// such a pair.
    pub fn unique_id(&self) -> UniqueId {
        UniqueId([self.category.as_str(), "_", self.name.as_str()].concat().into())
    }
}

impl fmt::Display for PluginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "category \"{}\", name \"{}\"", self.category, self.name)
    }
}

/// `{category}_{name}`: the plugin's address in paths, and the default order of lists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UniqueId(#[serde(serialize_with = "as_text")] Arc<str>);

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl UniqueId {
    /// An id from a client. The plugin may not exist.
    pub fn from_client(text: &str) -> UniqueId {
        UniqueId(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for UniqueId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_taken() {
        for name in ["a", "Whisper tiny", "音声認識", "a/b", "ä_ö", "🎙"] {
            assert!(Name::new(name).is_ok(), "{name}");
        }
        assert!(Name::new(&"ß".repeat(256)).is_ok());
    }

    #[test]
    fn a_name_that_looks_like_another_one_is_refused_when_it_is_new() {
        let check = |name: &str| Name::new(name).unwrap().require_visible();
        for name in ["whisper\u{202e}", "a\u{200b}b", "\u{2066}a", "a\u{2069}", "\u{202a}a", "a\u{feff}b"] {
            assert!(check(name).unwrap_err().starts_with("must not contain U+"), "{name:?}");
        }
        // A family, and a Persian word that is spelt with a joiner.
        for name in ["\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", "می\u{200c}خواهم", "音声"] {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", " a", "a ", "a\n", "a\u{7f}b", "\u{85}", "\u{3000}a"] {
            assert!(Name::new(name).is_err(), "{name:?}");
        }
        assert!(Name::new(&"a".repeat(257)).is_err());
    }
}
