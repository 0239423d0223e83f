//! Whether one schema accepts everything that another accepts, for the subset that the description uses: objects,
//! arrays, enumerations, limits, and `oneOf` and `anyOf` alike.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Compares schemas of two descriptions: one must cover the other.
pub(super) struct Schemas<'a> {
    /// The description with the schemas to be covered.
    of: &'a Value,
    /// The description with the covering schemas.
    by: &'a Value,
    side: Side,
    /// References under comparison or already compared: a recursive reference holds unless another part differs.
    seen: BTreeSet<(String, String)>,
}

/// The side that must not notice a difference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Clients that send: the new schema accepts everything that the old one accepted.
    Requests,
    /// Clients that read: they know everything that the new schema allows. They must tolerate new fields and new values
    /// of enumerations, and ignore limits.
    Answers,
}

/// The limits, and whether a larger value is stricter.
const LIMITS: [(&str, bool); 6] = [
    ("minimum", true),
    ("minLength", true),
    ("minItems", true),
    ("maximum", false),
    ("maxLength", false),
    ("maxItems", false),
];

impl<'a> Schemas<'a> {
    /// `new` must accept everything that `old` accepts.
    pub(super) fn requests(old: &'a Value, new: &'a Value) -> Schemas<'a> {
        Schemas { of: old, by: new, side: Side::Requests, seen: BTreeSet::new() }
    }

    /// A client of `old` must understand everything that `new` allows.
    pub(super) fn answers(new: &'a Value, old: &'a Value) -> Schemas<'a> {
        Schemas { of: new, by: old, side: Side::Answers, seen: BTreeSet::new() }
    }

    /// The parts of `one` that `other` does not cover, one a line.
    pub(super) fn differences(&mut self, place: &str, one: &Value, other: &Value) -> Vec<String> {
        if let (Some(one), Some(other)) = (one["$ref"].as_str(), other["$ref"].as_str())
            && !self.seen.insert((one.to_owned(), other.to_owned()))
        {
            return Vec::new();
        }
        let (one, other) = (resolved(self.of, one), resolved(self.by, other));
        if let Some(variants) = variants(&one) {
            return variants.iter().flat_map(|variant| self.differences(place, variant, &other)).collect();
        }
        if let Some(variants) = variants(&other) {
            // A failed alternative must not mark references as compared.
            let seen = self.seen.clone();
            let mut least: Option<Vec<String>> = None;
            for variant in &variants {
                self.seen.clone_from(&seen);
                let found = self.differences(place, &one, variant);
                if found.is_empty() {
                    return found;
                }
                least = least.filter(|least| least.len() <= found.len()).or(Some(found));
            }
            return least.unwrap_or_default();
        }
        self.plain(place, &one, &other)
    }

    /// As [`Schemas::differences`], of schemas that are neither references nor alternatives.
    fn plain(&mut self, place: &str, one: &Value, other: &Value) -> Vec<String> {
        if let Some(wanted) = other["type"].as_str() {
            let is_so = |found: &str| found == wanted || (found, wanted) == ("integer", "number");
            let others: Vec<_> = types_of(one).into_iter().filter(|found| !is_so(found)).collect();
            if !others.is_empty() {
                return vec![format!("{place}: is a {}, and {wanted} is known", others.join(" or a "))];
            }
        }
        let mut found = Vec::new();
        if let (Side::Requests, Some(known)) = (self.side, other["enum"].as_array()) {
            let sent = one["enum"].as_array();
            if !sent.is_some_and(|sent| sent.iter().all(|value| known.contains(value))) {
                found.push(format!("{place}: takes only {}", other["enum"]));
            }
        }
        if self.side == Side::Requests {
            found.extend(limits(place, one, other));
        }
        if !other["format"].is_null() && one["format"] != other["format"] && one["enum"].is_null() {
            found.push(format!("{place}: format is {} and {}", one["format"], other["format"]));
        }
        if !other["items"].is_null() {
            found.extend(self.differences(&format!("{place}[]"), &one["items"], &other["items"]));
        }
        found.extend(self.fields(place, one, other));
        found
    }

    fn fields(&mut self, place: &str, one: &Value, other: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let at = |name: &str| match place {
            "body" | "200" | "201" | "202" => format!("{place}: {name}"),
            _ => format!("{place}.{name}"),
        };
        let required = |schema: &Value, name: &str| {
            schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
        };
        for (name, wanted) in other["properties"].as_object().into_iter().flatten() {
            let place = at(name);
            match one["properties"].get(name) {
                Some(given) => {
                    if required(other, name) && !required(one, name) {
                        let what = if self.side == Side::Requests { "is required" } else { "may be missing" };
                        found.push(format!("{place}: {what}"));
                    }
                    found.extend(self.differences(&place, given, wanted));
                }
                None if self.side == Side::Answers => found.push(format!("{place}: is gone")),
                None if required(other, name) => found.push(format!("{place}: is required")),
                None => {}
            }
        }
        if self.side == Side::Requests && other["additionalProperties"] == false {
            for (name, _) in one["properties"].as_object().into_iter().flatten() {
                if other["properties"].get(name).is_none() {
                    found.push(format!("{}: is refused", at(name)));
                }
            }
            let is_object = other["type"] == "object";
            if is_object && one["additionalProperties"] != false && one["patternProperties"].is_null() {
                found.push(format!("{place}: other fields are refused"));
            }
        }
        for (pattern, wanted) in other["patternProperties"].as_object().into_iter().flatten() {
            // Clients could send such fields before, unless the schema allowed named fields only.
            let named = &one["patternProperties"][pattern];
            let given = if named.is_null() && one["additionalProperties"].is_object() {
                &one["additionalProperties"]
            } else {
                named
            };
            if !given.is_null() || one["additionalProperties"] != false {
                found.extend(self.differences(&at(pattern), given, wanted));
            }
        }
        if other["additionalProperties"].is_object() {
            let given = &one["additionalProperties"];
            if given != false {
                found.extend(self.differences(&at("*"), given, &other["additionalProperties"]));
            }
            for (pattern, given) in one["patternProperties"].as_object().into_iter().flatten() {
                if other["patternProperties"][pattern].is_null() {
                    found.extend(self.differences(&at(pattern), given, &other["additionalProperties"]));
                }
            }
        }
        found
    }
}

/// The target of a reference. Keywords beside `$ref` are only descriptions, so they do not count.
fn resolved(document: &Value, schema: &Value) -> Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let target = document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"));
            resolved(document, target)
        }
        None => schema.clone(),
    }
}

/// The alternatives of a schema; several types count as alternatives.
fn variants(schema: &Value) -> Option<Vec<Value>> {
    if let Some(variants) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return Some(variants.clone());
    }
    let types = match (&schema["type"], &schema["enum"]) {
        (Value::Array(types), _) => types.clone(),
        (Value::Null, Value::Array(_)) => types_of(schema).into_iter().map(Value::from).collect(),
        _ => return None,
    };
    if types.len() == 1 && schema["type"].is_null() {
        return None;
    }
    let of_type = |wanted: &Value| {
        // Limits and formats say nothing of null.
        let mut variant = if wanted == "null" { json!({}) } else { schema.clone() };
        variant["type"] = wanted.clone();
        if let Some(values) = schema["enum"].as_array() {
            let fits = |value: &&Value| types_of(&json!({"enum": [value]})).iter().any(|found| wanted == found);
            variant["enum"] = values.iter().filter(fits).cloned().collect();
        }
        variant
    };
    Some(types.iter().map(of_type).collect())
}

/// The types that a schema without alternatives accepts.
fn types_of(schema: &Value) -> Vec<&'static str> {
    const ALL: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
    if let Some(named) = schema["type"].as_str() {
        return ALL.into_iter().filter(|known| *known == named).collect();
    }
    let Some(values) = schema["enum"].as_array() else { return ALL.to_vec() };
    let of_value = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    BTreeSet::from_iter(values.iter().map(of_value)).into_iter().collect()
}

/// The limits of `other` that `one` does not guarantee.
fn limits(place: &str, one: &Value, other: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, more_is_less) in LIMITS {
        let Some(limit) = other[name].as_f64() else { continue };
        let keeps = one[name].as_f64().is_some_and(|own| if more_is_less { own >= limit } else { own <= limit });
        if !keeps && one["enum"].is_null() {
            found.push(format!("{place}: {name} is {limit}"));
        }
    }
    for name in ["pattern", "propertyNames"] {
        let is_kept = one[name] == other[name]
            || (name == "propertyNames" && names_fit(one, &other[name]))
            || (name == "pattern" && has_alternatives(&other[name], &one[name]));
        if !other[name].is_null() && !is_kept && one["enum"].is_null() {
            found.push(format!("{place}: {name} is {}", other[name]));
        }
    }
    found
}

/// Whether one pattern `^(a|b|…)$` has every alternative of the other.
fn has_alternatives(one: &Value, other: &Value) -> bool {
    let alternatives = |pattern: &Value| {
        let inner = pattern.as_str()?.strip_prefix("^(")?.strip_suffix(")$")?;
        Some(inner.split('|').map(str::to_owned).collect::<BTreeSet<_>>())
    };
    matches!((alternatives(one), alternatives(other)), (Some(one), Some(other)) if one.is_superset(&other))
}

/// Whether the names of all fields of an object fit: those that it lists, and those that fit its patterns. Names are compared
/// with `{"anyOf": [{"enum": …}, {"pattern": …}]}` only.
fn names_fit(one: &Value, wanted: &Value) -> bool {
    let variants = || wanted["anyOf"].as_array().into_iter().flatten();
    let is_listed = |name: &String| {
        variants().any(|variant| variant["enum"].as_array().is_some_and(|names| names.iter().any(|one| one == name)))
    };
    let is_pattern = |pattern: &String| variants().any(|variant| variant["pattern"] == **pattern);
    let names = |keyword: &str| one[keyword].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    one["additionalProperties"] == false
        && names("properties").all(|name| is_listed(&name))
        && names("patternProperties").all(|pattern| is_pattern(&pattern))
}
