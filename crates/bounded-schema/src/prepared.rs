//! The schema for the library: with references that it can resolve, and with names of `patternProperties` translated to
//! its regular expressions.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::ecma;
use crate::references::Reach;
use crate::structure::Structure;
use crate::target::{Target, encoded};
use crate::validation_error::pointer_push;

type Schema = Map<String, Value>;

/// The schema, changed where the library would misread it.
pub(crate) fn prepare<'a>(structure: &Structure<'a>, reach: &Reach) -> Cow<'a, Value> {
    let mut changes = Changes { names: HashMap::new(), references: HashMap::new() };
    for schema in &structure.subschemas {
        if let Some(Value::Object(patterns)) = schema.get("patternProperties") {
            let renamed = renamed(patterns);
            if !renamed.is_empty() {
                changes.names.insert(std::ptr::from_ref(patterns), renamed);
            }
        }
    }
    for reference in &reach.references {
        let uri = changes.uri(structure.root, &reference.target);
        if reference.value != uri.as_str() {
            changes.references.entry(reference.schema).or_default().push((reference.keyword, uri));
        }
    }
    if changes.names.is_empty() && changes.references.is_empty() {
        Cow::Borrowed(structure.root)
    } else {
        Cow::Owned(changes.applied(structure.root))
    }
}

/// The translated names.
fn renamed(patterns: &Schema) -> HashMap<&str, String> {
    let mut renamed: HashMap<&str, String> = HashMap::new();
    for name in patterns.keys() {
        let Cow::Owned(mut translated) = ecma::translate(name) else { continue };
        // Two patterns may have the same translation: both schemas apply.
        while patterns.contains_key(&translated) || renamed.values().any(|other| *other == translated) {
            translated.push_str("(?:)");
        }
        renamed.insert(name, translated);
    }
    renamed
}

struct Changes<'a> {
    /// New names in the values of `patternProperties`.
    names: HashMap<*const Schema, HashMap<&'a str, String>>,
    /// New values of the referring keywords.
    references: HashMap<*const Schema, Vec<(&'static str, String)>>,
}

impl Changes<'_> {
    /// A reference to `target` that the library can resolve.
    fn uri(&self, root: &Value, target: &Target) -> String {
        match target {
            Target::MetaSchema { uri } => uri.clone(),
            Target::Anchor { name, .. } => format!("#{}", encoded(name)),
            Target::Place { place, .. } => format!("#{}", encoded(&self.renamed_place(root, place))),
        }
    }

    fn renamed_place<'p>(&self, root: &Value, place: &'p str) -> Cow<'p, str> {
        if self.names.is_empty() {
            return Cow::Borrowed(place);
        }
        let mut renamed = String::with_capacity(place.len());
        let mut here = Some(root);
        for token in place.split('/').skip(1) {
            let name = token.replace("~1", "/").replace("~0", "~");
            let names =
                here.and_then(Value::as_object).and_then(|members| self.names.get(&std::ptr::from_ref(members)));
            pointer_push(&mut renamed, names.and_then(|names| names.get(name.as_str())).unwrap_or(&name));
            here = here.and_then(|value| match value {
                Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                value => value.get(&name),
            });
        }
        Cow::Owned(renamed)
    }

    /// A copy of `value` with the changes. The recursion is as deep as the document, whose reader limits the depth.
    fn applied(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let key = std::ptr::from_ref(members);
                let names = self.names.get(&key);
                let mut copy = Schema::with_capacity(members.len());
                for (name, member) in members {
                    let renamed = names.and_then(|names| names.get(name.as_str()));
                    copy.insert(renamed.unwrap_or(name).clone(), self.applied(member));
                }
                for (keyword, uri) in self.references.get(&key).into_iter().flatten() {
                    copy.insert((*keyword).to_owned(), Value::String(uri.clone()));
                }
                Value::Object(copy)
            }
            Value::Array(items) => items.iter().map(|item| self.applied(item)).collect(),
            value => value.clone(),
        }
    }
}
