//! What differs between two documents: field by field.

use serde_json::{Value, json};

use crate::cli::output::cell::Show;
use crate::cli::output::kind::{Column, Kind};

const fn column(title: &'static str, field: &'static str) -> Column {
    Column { title, field, show: Show::Text, is_wide: false }
}

/// Fields that differ.
pub const DIFFERENCE: Kind = Kind {
    plural: "differences",
    columns: &[column("FIELD", "field"), column("BEFORE", "before"), column("AFTER", "after")],
    name: &["field"],
};

/// Fields that change with every write, and say nothing about the plugin.
const BOOKKEEPING: [&str; 2] = ["revision", "updated_at"];

/// The fields that differ, deep ones by dots.
pub fn between(before: &Value, after: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    collect(&mut found, "", before, after);
    found
}

fn collect(found: &mut Vec<Value>, name: &str, before: &Value, after: &Value) {
    if before == after || BOOKKEEPING.contains(&name) {
        return;
    }
    if let (Value::Object(one), Value::Object(other)) = (before, after) {
        let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        for (key, value) in one {
            collect(found, &below(key), value, other.get(key).unwrap_or(&Value::Null));
        }
        for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
            collect(found, &below(key), &Value::Null, value);
        }
        return;
    }
    found.push(json!({ "field": name, "before": before, "after": after }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_found() {
        let before = json!({ "a": 1, "b": { "c": [1], "d": 2 }, "revision": 1 });
        let after = json!({ "a": 1, "b": { "c": [2], "e": 3 }, "revision": 2 });
        let found = between(&before, &after);
        let fields: Vec<_> = found.iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["b.c", "b.d", "b.e"]);
    }
}
