//! The secret values of a configuration: those that its schema marks by `writeOnly: true` or `format: password`.
//!
//! Masking a value that is not secret does little harm; showing a secret does. So every subschema that could apply to a
//! value counts: all branches of `anyOf`, `oneOf` and `if`, all patterns of `patternProperties`, and the keywords of
//! all drafts. If the search would take too long, the whole configuration is secret.

use serde_json::{Map, Value};

use super::read::{FieldError, Invalid};
use bounded_schema::pointer_push;

/// The text that replaces a secret.
pub const MASK: &str = "********";

/// The maximum number of places in one response.
const MAX_ERRORS: usize = 100;

/// The maximum number of subschemas to visit for one configuration: about 50 ms.
const MAX_STEPS: usize = 1_000_000;

type SecretSchema = Map<String, Value>;

/// A configuration with all secrets masked. A null value is not masked.
pub fn masked(config: &Value, schema: &Value) -> Value {
    let mut masked = config.clone();
    let mut walk = SecretWalk { root: schema, steps: 0 };
    if walk.mask(&mut masked, &[schema]).is_none() {
        return Value::String(MASK.to_owned());
    }
    masked
}

/// Refuses a configuration with the mask in the place of a secret. Its client read a masked configuration, and saving
/// it would lose the secret.
///
/// # Errors
///
/// Every place of a mask.
pub fn refuse_masks(config: &Value, schema: &Value) -> Result<(), Invalid> {
    if !has_mask(config) {
        return Ok(());
    }
    let mut walk = SecretWalk { root: schema, steps: 0 };
    let mut places = Vec::new();
    if walk.find_masks(config, &[schema], &mut String::new(), &mut places).is_none() {
        places = vec![String::new()];
    }
    let detail = format!("is the mask `{MASK}` that replaces a secret in responses; send the secret itself");
    let error = |pointer| FieldError { pointer, detail: detail.clone() };
    let errors: Vec<_> = places.into_iter().take(MAX_ERRORS).map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(Invalid(errors)) }
}

fn has_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text == MASK,
        Value::Array(items) => items.iter().any(has_mask),
        Value::Object(fields) => fields.values().any(has_mask),
        _ => false,
    }
}

/// A walk through a configuration, with the subschemas that could apply to each value.
struct SecretWalk<'a> {
    root: &'a Value,
    steps: usize,
}

impl<'a> SecretWalk<'a> {
    /// Masks the secrets; `None` if that would take too long.
    fn mask(&mut self, value: &mut Value, schemas: &[&'a Value]) -> Option<()> {
        let schemas = self.all_that_apply(schemas)?;
        if schemas.iter().any(|schema| is_secret(schema)) {
            if !value.is_null() {
                *value = Value::String(MASK.to_owned());
            }
            return Some(());
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let schemas = self.of_field(name, &schemas)?;
                    self.mask(field, &schemas)?;
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let schemas = self.of_item(index, &schemas)?;
                    self.mask(item, &schemas)?;
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Finds masks in the places of secrets; `None` if that would take too long.
    fn find_masks(
        &mut self,
        value: &Value,
        schemas: &[&'a Value],
        pointer: &mut String,
        found: &mut Vec<String>,
    ) -> Option<()> {
        let schemas = self.all_that_apply(schemas)?;
        if schemas.iter().any(|schema| is_secret(schema)) {
            if value.as_str() == Some(MASK) {
                found.push(pointer.clone());
            }
            return Some(());
        }
        let here = pointer.len();
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let schemas = self.of_field(name, &schemas)?;
                    pointer_push(pointer, name);
                    self.find_masks(field, &schemas, pointer, found)?;
                    pointer.truncate(here);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let schemas = self.of_item(index, &schemas)?;
                    pointer_push(pointer, &index.to_string());
                    self.find_masks(item, &schemas, pointer, found)?;
                    pointer.truncate(here);
                }
            }
            _ => {}
        }
        Some(())
    }

    /// These schemas, and all schemas that they refer to or apply to the same value, each once.
    fn all_that_apply(&mut self, schemas: &[&'a Value]) -> Option<Vec<&'a SecretSchema>> {
        let mut all: Vec<&'a SecretSchema> = Vec::new();
        let mut open: Vec<&'a Value> = schemas.to_vec();
        while let Some(schema) = open.pop() {
            let Some(schema) = schema.as_object() else { continue };
            self.step(all.len())?;
            if all.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            all.push(schema);
            for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
                let target = schema.get(keyword).and_then(Value::as_str).and_then(|reference| self.target(reference));
                open.extend(target);
            }
            for keyword in ["allOf", "anyOf", "oneOf"] {
                open.extend(schema.get(keyword).and_then(Value::as_array).into_iter().flatten());
            }
            open.extend(["if", "then", "else"].iter().filter_map(|keyword| schema.get(*keyword)));
            for keyword in ["dependentSchemas", "dependencies"] {
                open.extend(schema.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::values));
            }
        }
        Some(all)
    }

    /// The schemas for a field of an object.
    fn of_field(&mut self, name: &str, schemas: &[&'a SecretSchema]) -> Option<Vec<&'a Value>> {
        let mut of_field = Vec::new();
        for schema in schemas {
            let known = schema.get("properties").and_then(|properties| properties.get(name));
            of_field.extend(known);
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            of_field.extend(patterns.into_iter().flat_map(Map::values));
            if known.is_none() {
                of_field.extend(schema.get("additionalProperties"));
                of_field.extend(schema.get("unevaluatedProperties"));
            }
        }
        self.step(of_field.len())?;
        Some(of_field)
    }

    /// The schemas for an item of an array.
    fn of_item(&mut self, index: usize, schemas: &[&'a SecretSchema]) -> Option<Vec<&'a Value>> {
        let mut of_item = Vec::new();
        for schema in schemas {
            for keyword in ["prefixItems", "items"] {
                match schema.get(keyword) {
                    Some(Value::Array(items)) => of_item.extend(items.get(index)),
                    items => of_item.extend(items),
                }
            }
            of_item.extend(
                ["additionalItems", "unevaluatedItems", "contains"].iter().filter_map(|name| schema.get(*name)),
            );
        }
        self.step(of_item.len())?;
        Some(of_item)
    }

    /// The target of a reference within the schema. Schemas with other references were refused at registration.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let (_, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.root.pointer(&fragment);
        }
        anchored(self.root, &fragment)
    }

    fn step(&mut self, more: usize) -> Option<()> {
        self.steps += 1 + more;
        (self.steps <= MAX_STEPS).then_some(())
    }
}

/// The subschema with a plain name. A value that only looks like one also matches, which does no harm.
fn anchored<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => {
            let is_it = ["$anchor", "$dynamicAnchor", "$id", "id"].iter().any(|keyword| {
                let named = fields.get(*keyword).and_then(Value::as_str);
                named.is_some_and(|text| text == name || text.strip_prefix('#') == Some(name))
            });
            if is_it { Some(value) } else { fields.values().find_map(|field| anchored(field, name)) }
        }
        Value::Array(items) => items.iter().find_map(|item| anchored(item, name)),
        _ => None,
    }
}

fn is_secret(schema: &SecretSchema) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
        || schema.get("format").and_then(Value::as_str) == Some("password")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cret";

    fn field(schema: &Value) -> Value {
        json!({"properties": {"key": schema}})
    }

    #[test]
    fn secrets_are_masked_wherever_the_schema_marks_them() {
        let password = json!({"type": "string", "format": "password"});
        let write_only = json!({"writeOnly": true});
        let at_key = json!({"key": SECRET, "other": "seen"});
        for (schema, config) in [
            (field(&password), at_key.clone()),
            (field(&write_only), at_key.clone()),
            (json!({"properties": {"a": field(&password)}}), json!({"a": at_key, "other": "seen"})),
            (json!({"properties": {"list": {"items": password}}}), json!({"list": [SECRET, SECRET], "other": "seen"})),
            (json!({"properties": {"list": {"items": [{}, password]}}}), json!({"list": [1, SECRET], "other": "seen"})),
            (
                json!({"properties": {"list": {"prefixItems": [{}, password]}}}),
                json!({"list": ["seen", SECRET], "other": "seen"}),
            ),
            (json!({"allOf": [{}, field(&password)]}), at_key.clone()),
            (json!({"anyOf": [field(&json!({})), field(&password)]}), at_key.clone()),
            (json!({"oneOf": [field(&password), {"type": "null"}]}), at_key.clone()),
            (json!({"if": {"required": ["x"]}, "then": field(&password)}), at_key.clone()),
            (json!({"dependentSchemas": {"x": field(&password)}}), at_key.clone()),
            (json!({"$defs": {"p": password}, "properties": {"key": {"$ref": "#/$defs/p"}}}), at_key.clone()),
            (
                json!({"definitions": {"p": password}, "properties": {"key": {"$ref": "#/definitions/p"}}}),
                at_key.clone(),
            ),
            (
                json!({"$defs": {"p": {"$anchor": "pass", "writeOnly": true}}, "properties": {"key": {"$ref": "#pass"}}}),
                at_key.clone(),
            ),
            (json!({"$defs": {"a/b": password}, "properties": {"key": {"$ref": "#/$defs/a~1b"}}}), at_key.clone()),
            (json!({"properties": {"other": {}}, "additionalProperties": password}), at_key.clone()),
            (
                json!({"properties": {"key": {"additionalProperties": password}}}),
                json!({"key": {"x": SECRET}, "other": "seen"}),
            ),
        ] {
            let masked = masked(&config, &schema).to_string();
            assert!(!masked.contains(SECRET) && masked.contains(MASK), "{schema}: {masked}");
            assert!(masked.contains("seen"), "{schema}: too much is masked: {masked}");
        }
    }

    #[test]
    fn whatever_is_secret_is_masked_but_for_nothing() {
        let schema = field(&json!({"writeOnly": true}));
        for secret in [json!(1.5), json!(true), json!({"a": SECRET}), json!([SECRET]), json!("")] {
            assert_eq!(masked(&json!({"key": secret}), &schema), json!({"key": MASK}));
        }
        assert_eq!(masked(&json!({"key": null}), &schema), json!({"key": null}));
        assert_eq!(masked(&json!(SECRET), &json!({"format": "password"})), json!(MASK));
        let plain = json!({"key": "x", "writeOnly": true});
        assert_eq!(masked(&plain, &json!({"properties": {"writeOnly": {}}})), plain);
        assert_eq!(masked(&plain, &field(&json!({"writeOnly": false, "format": "uri"}))), plain);
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_followed_to_its_end() {
        let tree = json!({"properties": {"key": {"format": "password"}, "next": {"$ref": "#"}}});
        let config = json!({"key": SECRET, "next": {"key": SECRET, "next": {"key": SECRET}}});
        assert!(!masked(&config, &tree).to_string().contains(SECRET));
    }

    #[test]
    fn what_would_take_too_long_is_secret_as_a_whole() {
        let branches: Vec<_> = (0..4_000).map(|_| json!({"items": {"$ref": "#"}})).collect();
        let schema = json!({"anyOf": branches});
        assert_eq!(masked(&json!([[["x"]]]), &schema), json!(MASK));
    }

    #[test]
    fn the_mask_is_refused_where_a_secret_belongs_and_nowhere_else() {
        let schema = json!({"properties": {"key": {"writeOnly": true}, "list": {"items": {"format": "password"}}}});
        let good = json!({"key": SECRET, "list": [SECRET], "other": MASK});
        assert_eq!(refuse_masks(&good, &schema), Ok(()));
        let Invalid(errors) =
            refuse_masks(&json!({"key": MASK, "list": ["a", MASK], "other": MASK}), &schema).unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/key", "/list/1"]);
    }
}
