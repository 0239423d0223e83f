//! The plugins that a token is limited to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::host;
use crate::plugin::read::{ObjectReader, each, kind_of, pointer_push, string};
use crate::plugin::{Invalid, Labels, Name, Plugin};

/// The maximum number of values in one part of a scope.
pub const MAX_VALUES: usize = 100;

/// The maximum length of a host, or of a label's key or value, in characters.
pub const MAX_CHARS: usize = 256;

/// A subset of all plugins. A plugin must meet every condition; one matching value is enough for a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Scope {
    /// The categories; empty for any.
    #[schema(value_type = Vec<String>)]
    categories: Vec<Name>,
    /// The hosts; empty for any. A plugin without a host is on none of them.
    #[schema(value_type = Vec<String>)]
    hosts: Vec<Box<str>>,
    /// The values of labels; empty for any.
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    labels: BTreeMap<Box<str>, Vec<Box<str>>>,
}

impl Scope {
    /// The fields of a scope.
    pub const FIELDS: &[&str] = &["categories", "hosts", "labels"];

    /// Reads a scope; `None` if it contains every plugin.
    ///
    /// # Errors
    ///
    /// Every wrong place.
    pub fn read(value: Value, pointer: &str) -> Result<Option<Scope>, Invalid> {
        let mut fields = ObjectReader::new(value, pointer, Scope::FIELDS, &[])?;
        let categories = fields.optional("categories", |value, at| list(value, at, Name::read));
        let hosts = fields.optional("hosts", |value, at| list(value, at, text));
        let labels = fields.optional("labels", labels);
        fields.finish()?;
        let scope = Scope {
            categories: categories.unwrap_or_default(),
            hosts: hosts.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
        };
        Ok((scope != Scope::default()).then_some(scope))
    }

    /// Returns true if and only if the scope contains the plugin.
    pub fn contains(&self, plugin: &Plugin) -> bool {
        self.contains_host(plugin.host.as_deref())
            && (self.categories.is_empty() || self.categories.contains(&plugin.category))
            && self.contains_labels(&plugin.labels)
    }

    /// Returns true if and only if the scope may contain plugins on this host.
    pub fn contains_host(&self, host: Option<&str>) -> bool {
        self.hosts.is_empty() || host.is_some_and(|host| self.hosts.iter().any(|one| host::is_same(one, host)))
    }

    fn contains_labels(&self, labels: &Labels) -> bool {
        self.labels
            .iter()
            .all(|(key, values)| labels.get(key).is_some_and(|value| values.iter().any(|wanted| **wanted == *value)))
    }
}

/// In words, for the error text of a caller outside the scope.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.categories.is_empty() {
            parts.push(format!("category {}", either(self.categories.iter().map(Name::as_str))));
        }
        if !self.hosts.is_empty() {
            parts.push(format!("host {}", either(self.hosts.iter().map(AsRef::as_ref))));
        }
        for (key, values) in &self.labels {
            parts.push(format!("label {key} {}", either(values.iter().map(AsRef::as_ref))));
        }
        f.write_str(&parts.join(", "))
    }
}

fn either<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.collect::<Vec<_>>().join(" or ")
}

fn list<T>(value: Value, pointer: &str, read: impl Fn(Value, &str) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
    let Value::Array(items) = value else {
        return Err(Invalid::at(pointer, format!("must be an array, not {}", kind_of(&value))));
    };
    if items.len() > MAX_VALUES {
        return Err(Invalid::at(pointer, format!("must have at most {MAX_VALUES} values")));
    }
    each(items, pointer, read)
}

fn labels(value: Value, pointer: &str) -> Result<BTreeMap<Box<str>, Vec<Box<str>>>, Invalid> {
    let Value::Object(fields) = value else {
        return Err(Invalid::at(pointer, format!("must be an object, not {}", kind_of(&value))));
    };
    if fields.len() > MAX_VALUES {
        return Err(Invalid::at(pointer, format!("must have at most {MAX_VALUES} keys")));
    }
    let (mut labels, mut errors) = (BTreeMap::new(), Vec::new());
    for (key, value) in fields {
        let mut at = pointer.to_owned();
        pointer_push(&mut at, &key);
        match label(key, value, &at) {
            Ok((key, values)) => drop(labels.insert(key, values)),
            Err(Invalid(wrong)) => errors.extend(wrong),
        }
    }
    if errors.is_empty() { Ok(labels) } else { Err(Invalid(errors)) }
}

fn label(key: String, value: Value, pointer: &str) -> Result<(Box<str>, Vec<Box<str>>), Invalid> {
    let key = text(Value::String(key), pointer)?;
    // A client may send one value without brackets.
    let values = if value.is_string() { vec![text(value, pointer)?] } else { list(value, pointer, text)? };
    if values.is_empty() {
        return Err(Invalid::at(pointer, "must have at least one value"));
    }
    Ok((key, values))
}

fn text(value: Value, pointer: &str) -> Result<Box<str>, Invalid> {
    let text = string(value, pointer)?;
    if text.is_empty() || text.chars().nth(MAX_CHARS).is_some() {
        return Err(Invalid::at(pointer, format!("must have 1 to {MAX_CHARS} characters")));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::Registration;

    fn plugin(category: &str, host: &Value, team: &Value) -> Plugin {
        let mut document = json!({"name": "n", "category": category, "title": "T", "config_schema": {}, "host": host});
        if !team.is_null() {
            document["labels"] = json!({"team": team});
        }
        Registration::read(document).unwrap().applied_to(None)
    }

    #[test]
    fn every_condition_must_hold_and_of_its_values_any_will_do() {
        let scope = json!({"categories": ["a", "b"], "hosts": ["h"], "labels": {"team": ["x", "y"]}});
        let scope = Scope::read(scope, "").unwrap().unwrap();
        for (category, host, team, is_in) in [
            ("a", json!("h"), json!("x"), true),
            ("b", json!("h"), json!("y"), true),
            ("c", json!("h"), json!("x"), false),
            ("a", json!("i"), json!("x"), false),
            ("a", json!(null), json!("x"), false),
            ("a", json!("h"), json!("z"), false),
            ("a", json!("h"), json!(null), false),
        ] {
            assert_eq!(scope.contains(&plugin(category, &host, &team)), is_in, "{category} {host} {team}");
        }
        assert_eq!(scope.to_string(), "category a or b, host h, label team x or y");
    }

    #[test]
    fn a_scope_that_leaves_everything_in_is_none() {
        for all in [json!({}), json!({"categories": [], "hosts": [], "labels": {}})] {
            assert_eq!(Scope::read(all, "").unwrap(), None);
        }
        let one = Scope::read(json!({"labels": {"team": "x"}}), "").unwrap().unwrap();
        assert!(one.contains(&plugin("a", &json!(null), &json!("x"))));
        let kept = serde_json::to_value(&one).unwrap();
        assert_eq!(Scope::read(kept, "").unwrap(), Some(one), "it is read as it is written");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place() {
        for (wrong, pointer) in [
            (json!([]), "/scope"),
            (json!({"category": ["a"]}), "/scope/category"),
            (json!({"categories": "a"}), "/scope/categories"),
            (json!({"categories": [" a"]}), "/scope/categories/0"),
            (json!({"hosts": ["h", 1]}), "/scope/hosts/1"),
            (json!({"labels": {"team": []}}), "/scope/labels/team"),
            (json!({"labels": {"team": [null]}}), "/scope/labels/team/0"),
        ] {
            let Invalid(errors) = Scope::read(wrong.clone(), "/scope").unwrap_err();
            assert_eq!(errors[0].pointer, pointer, "{wrong}: {errors:?}");
        }
    }

    #[test]
    fn only_the_first_wrong_value_of_a_list_was_named() {
        let wrong = json!({"hosts": ["", "h", 1], "labels": {"team": [null, 2], "": ["x"], "stage": []}});
        let Invalid(errors) = Scope::read(wrong, "").unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/hosts/0", "/hosts/2", "/labels/team/0", "/labels/team/1", "/labels/", "/labels/stage"]);
    }
}
