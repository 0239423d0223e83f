//! The filters of `GET /plugins` in a document: they select the plugins of a webhook or of a budget.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::filter::Filter;
use super::filter_text;
use crate::plugin::Invalid;
use crate::plugin::read::{kind_of, pointer_push, refuse_unknown};
use crate::record::Record;

/// The maximum length of all filters together, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// Filters, as sent and as parsed. A plugin must meet all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Filters {
    sent: Map<String, Value>,
    #[serde(skip)]
    read: Vec<Filter>,
}

impl Filters {
    /// Reads an object of filters: names with a value, or with an array of alternative values.
    ///
    /// # Errors
    ///
    /// Every unknown name and value.
    pub fn read(value: Value, pointer: &str) -> Result<Filters, Invalid> {
        let Value::Object(sent) = value else {
            return Err(Invalid::at(pointer, format!("must be an object, not {}", kind_of(&value))));
        };
        let bytes: usize = sent.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
        if bytes > MAX_BYTES {
            return Err(Invalid::at(pointer, format!("must not be longer than {MAX_BYTES} bytes")));
        }
        let plain = sent.keys().filter(|name| name.strip_prefix("label.").is_none_or(str::is_empty));
        let unknown = refuse_unknown(plain, pointer, filter_text::NAMES, &[]);
        let mut errors = unknown.err().map(|Invalid(errors)| errors).unwrap_or_default();
        let mut read = Vec::new();
        for (name, value) in &sent {
            let mut pointer = pointer.to_owned();
            pointer_push(&mut pointer, name);
            match texts(value).and_then(|values| Filter::read(name, &values)) {
                Ok(filter) => read.extend(filter),
                Err(detail) => errors.extend(Invalid::at(pointer, detail).0),
            }
        }
        if errors.is_empty() { Ok(Filters { sent, read }) } else { Err(Invalid(errors)) }
    }

    /// The filters as sent.
    pub fn sent(&self) -> &Map<String, Value> {
        &self.sent
    }

    /// Returns true if and only if a plugin meets all filters.
    pub fn accept(&self, record: &Record) -> bool {
        self.read.iter().all(|filter| filter.accepts(record))
    }

    /// Returns true if and only if there are no filters, or one of `records` meets all of them.
    pub fn accept_any<'a>(&self, mut records: impl Iterator<Item = &'a Arc<Record>>) -> bool {
        self.read.is_empty() || records.any(|record| self.accept(record))
    }
}

/// The texts of a value, as in a URL's query.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("must be a value or an array of values, not {}", kind_of(other))),
    };
    match value {
        Value::Array(values) if values.is_empty() => Err("must have at least one value".into()),
        Value::Array(values) => values.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_are_read_as_the_list_reads_them() {
        let sent =
            json!({"active": true, "category": ["a", "b"], "label.team": "speech", "pid": 7, "execution": "local"});
        let filters = Filters::read(sent.clone(), "").unwrap();
        assert_eq!(filters.read.len(), 5);
        assert_eq!(Value::Object(filters.sent().clone()), sent);
        assert_eq!(filters.read[0], Filter::Active(true));
        assert_eq!(filters.read[2], Filter::Label { key: "team".into(), values: vec!["speech".into()] });
    }

    #[test]
    fn every_wrong_filter_is_named() {
        let wrong = json!({
            "activ": true, "active": "maybe", "provider": "acme", "label.": "x", "category": [], "host": {}, "pid": 0,
            "limit": "1", "name": [["x"]],
        });
        let Invalid(errors) = Filters::read(wrong, "/filters").unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        for name in ["activ", "active", "provider", "label.", "category", "host", "pid", "limit", "name"] {
            assert!(told.contains(&format!("/filters/{name}").as_str()), "{name}: {told:?}");
        }
        assert!(errors.iter().any(|error| error.detail.contains("did you mean `active`?")), "{errors:?}");
        assert!(Filters::read(json!([]), "").is_err());
        assert!(Filters::read(json!({"name": "x".repeat(MAX_BYTES)}), "").is_err());
    }
}
