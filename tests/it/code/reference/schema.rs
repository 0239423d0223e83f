//! What a JSON Schema of the description allows, in words.

use serde_json::{Map, Value};

use super::markdown::{code, codes};

/// Numbers from here on are bounds of the type, and no rule of the registry.
const BOUND_OF_THE_TYPE: f64 = 9e15;

/// The description's schemas, and where a page links to them.
pub(super) struct Schemas<'a> {
    pub(super) all: &'a Map<String, Value>,
    /// The page of the fields, as the page at hand links to it.
    pub(super) page: &'static str,
}

impl Schemas<'_> {
    /// A link to a schema.
    pub(super) fn link(&self, name: &str) -> String {
        format!("[{name}]({}#{})", self.page, name.to_lowercase())
    }

    /// The values that a schema allows.
    pub(super) fn values(&self, schema: &Value) -> String {
        if let Some(name) = name_of(schema) {
            return self.link(name);
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(choices) = schema[choice].as_array() {
                return choices.iter().map(|one| self.values(one)).collect::<Vec<_>>().join(" or ");
            }
        }
        // A page that is gathered from several documents.
        if let Some(parts) = schema["allOf"].as_array() {
            return parts.iter().map(|one| self.values(one)).collect::<Vec<_>>().join(" and ");
        }
        if let Some(names) = schema["enum"].as_array() {
            return self.names(names);
        }
        if let Some(value) = schema.get("const") {
            return code(&value.to_string());
        }
        let types: Vec<String> = match &schema["type"] {
            Value::String(name) => vec![self.of_type(schema, name)],
            Value::Array(names) => {
                names.iter().filter_map(Value::as_str).map(|name| self.of_type(schema, name)).collect()
            }
            _ => vec!["any value".into()],
        };
        let mut text = types.join(" or ");
        if let Some(default) = schema.get("default") {
            text.push_str(&format!("; default {}", code(default.as_str().unwrap_or(&default.to_string()))));
        }
        text
    }

    fn of_type(&self, schema: &Value, name: &str) -> String {
        match name {
            "array" => {
                let items = self.values(&schema["items"]);
                let items = if items.contains(' ') && !items.starts_with('`') { format!("({items})") } else { items };
                format!("array of {items}{}", bounds(schema, "Items", "items"))
            }
            "object" => match &schema["additionalProperties"] {
                more @ Value::Object(_) => format!("object of {}", self.values(more)),
                _ => "object".into(),
            },
            "string" => match schema["format"].as_str() {
                Some("date-time") => "time (RFC 3339)".into(),
                _ => format!("string{}", bounds(schema, "Length", "characters")),
            },
            "integer" | "number" => format!("{name}{}", range(schema)),
            other => other.into(),
        }
    }

    /// Names that are listed here, or that a schema of their own lists.
    fn names(&self, names: &[Value]) -> String {
        let same = |schema: &&Value| schema["enum"].as_array().is_some_and(|listed| listed == names);
        if let Some((name, _)) = self.all.iter().find(|(_, schema)| same(schema)) {
            return self.link(name);
        }
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        // The order that is turned round, after a field to sort by.
        let shown = names.iter().filter(|name| !name.strip_prefix('-').is_some_and(|name| names.contains(&name)));
        codes(shown.copied())
    }
}

/// The name of the schema that a reference leads to.
pub(super) fn name_of(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

fn bounds(schema: &Value, what: &str, unit: &str) -> String {
    let bound = |which: &str| schema[format!("{which}{what}")].as_u64();
    // Every list is of one item at least where it is there.
    let least = bound("min").filter(|least| *least > 1);
    match (least, bound("max")) {
        (Some(least), Some(most)) => format!(", {least} to {most} {unit}"),
        (Some(least), None) => format!(", at least {least} {unit}"),
        (None, Some(most)) => format!(", at most {most} {unit}"),
        (None, None) => String::new(),
    }
}

fn range(schema: &Value) -> String {
    let bound = |name: &str| schema[name].as_f64().filter(|bound| *bound < BOUND_OF_THE_TYPE);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    }
}
