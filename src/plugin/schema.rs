//! JSON Schema: whether a schema is one, and whether a configuration obeys it.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::read::{FieldError, Invalid};

/// The most mistakes that one answer lists.
const MAX_ERRORS: usize = 100;

/// Checks that `schema` is a valid JSON Schema: draft 2020-12, or the draft that its `$schema`
/// names. `pointer` is where it stands in the document.
///
/// # Errors
///
/// What is wrong with it, each by its place.
pub fn check(schema: &Value, pointer: &str) -> Result<(), Invalid> {
    compile(schema, pointer).map(drop)
}

/// Checks that `config` obeys `schema`.
///
/// # Errors
///
/// Where it does not, each by its place in the configuration. No detail repeats a value: a
/// configuration may hold secrets.
pub fn check_config(config: &Value, schema: &Value) -> Result<(), Invalid> {
    let validator = compile(schema, "/config_schema")?;
    let errors: Vec<_> = validator
        .iter_errors(config)
        .take(MAX_ERRORS)
        .map(|error| FieldError {
            pointer: error.instance_path().as_str().to_owned(),
            detail: error.masked_with("the value").to_string(),
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Invalid(errors)) }
}

fn compile(schema: &Value, pointer: &str) -> Result<Validator, Invalid> {
    jsonschema::meta::validate(schema).map_err(|error| {
        Invalid::at(format!("{pointer}{}", error.instance_path()), format!("is not valid JSON Schema: {error}"))
    })?;
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| Invalid::at(format!("{pointer}{}", error.instance_path()), format!("cannot be used: {error}")))
}
