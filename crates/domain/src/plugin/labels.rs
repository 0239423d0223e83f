//! Labels: user-defined keys and values of a plugin.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::Invalid;
use bounded_schema::{kind_of, pointer_push};

/// Labels from key to value, in the order of the keys as sent. A key is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(IndexMap<Box<str>, Box<str>>);

impl Labels {
    pub(crate) fn read(value: Value, pointer: &str) -> Result<Labels, Invalid> {
        let Value::Object(fields) = value else {
            return Err(Invalid::at(pointer, format!("must be an object of strings, not {}", kind_of(&value))));
        };
        let mut labels = IndexMap::with_capacity(fields.len());
        let mut errors = Vec::new();
        for (key, value) in fields {
            let mut at = pointer.to_owned();
            pointer_push(&mut at, &key);
            match value {
                _ if key.is_empty() => errors.extend(Invalid::at(at, "a label's key must not be empty").0),
                Value::String(text) => drop(labels.insert(key.into_boxed_str(), text.into_boxed_str())),
                other => errors.extend(Invalid::at(at, format!("must be a string, not {}", kind_of(&other))).0),
            }
        }
        if errors.is_empty() { Ok(Labels(labels)) } else { Err(Invalid(errors)) }
    }

    /// All labels with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if and only if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(AsRef::as_ref)
    }
}
