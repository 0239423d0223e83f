//! The keywords that hold subschemas.
//!
//! Keywords of any draft count in all drafts. Treating data as a schema does no harm, but missing a schema would.

use std::iter;

use serde_json::{Map, Value};

/// The role of a JSON value within a schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A schema.
    Schema,
    /// An array of schemas.
    Schemas,
    /// An object whose members are schemas.
    SchemaMap,
    /// `patternProperties`: an object whose members are schemas, and their names patterns.
    PatternMap,
    /// Anything else: it holds no schemas, even if it looks like one.
    Data,
}

impl Role {
    pub fn of_keyword(keyword: &str, value: &Value) -> Role {
        match (Holds::of(keyword), value) {
            (Some((Holds::Map, _)), Value::Object(_)) if keyword == "patternProperties" => Role::PatternMap,
            (Some((Holds::Map, _)), Value::Object(_)) => Role::SchemaMap,
            (Some((Holds::List, _)), Value::Array(_)) => Role::Schemas,
            (Some((Holds::One | Holds::List, _)), Value::Object(_) | Value::Bool(_)) => Role::Schema,
            _ => Role::Data,
        }
    }

    pub fn of_member(self) -> Role {
        if matches!(self, Role::SchemaMap | Role::PatternMap) { Role::Schema } else { Role::Data }
    }

    pub fn of_item(self) -> Role {
        if self == Role::Schemas { Role::Schema } else { Role::Data }
    }
}

/// How a keyword holds subschemas.
enum Holds {
    One,
    /// An array of schemas, or a single one.
    List,
    Map,
}

impl Holds {
    /// How `keyword` holds subschemas, and whether they apply to the same value as their parent; `None` for other
    /// keywords.
    fn of(keyword: &str) -> Option<(Holds, bool)> {
        match keyword {
            "not" | "if" | "then" | "else" => Some((Holds::One, true)),
            "allOf" | "anyOf" | "oneOf" => Some((Holds::List, true)),
            "dependentSchemas" | "dependencies" => Some((Holds::Map, true)),
            "additionalItems"
            | "additionalProperties"
            | "contains"
            | "contentSchema"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => Some((Holds::One, false)),
            "items" | "prefixItems" => Some((Holds::List, false)),
            "properties" | "patternProperties" | "$defs" | "definitions" => Some((Holds::Map, false)),
            _ => None,
        }
    }
}

/// The subschemas of `schema` that are objects, and whether each applies to the same value.
pub(crate) fn children(schema: &Map<String, Value>) -> impl Iterator<Item = (bool, &Map<String, Value>)> {
    schema.iter().filter_map(|(keyword, value)| Some((Holds::of(keyword)?, value))).flat_map(
        |((holds, same), value)| {
            let found: Box<dyn Iterator<Item = &Value>> = match (holds, value) {
                (Holds::Map, Value::Object(members)) => Box::new(members.values()),
                (Holds::List, Value::Array(items)) => Box::new(items.iter()),
                (Holds::One | Holds::List, value) => Box::new(iter::once(value)),
                _ => Box::new(iter::empty()),
            };
            found.filter_map(Value::as_object).map(move |child| (same, child))
        },
    )
}
