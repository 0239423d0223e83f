//! JSON Schema: checking schemas and configurations.
//!
//! The package `bounded_schema` of this workspace does the checks; its documentation lists the limits.

pub use bounded_schema::is_quick;
use serde_json::Value;

use super::read::{FieldError, Invalid};

/// Checks that `schema` is a valid JSON Schema, within the limits. `pointer` is its place in the document.
///
/// # Errors
///
/// Every mistake in the schema, with its place.
pub fn check(schema: &Value, pointer: &str) -> Result<(), Invalid> {
    bounded_schema::check(schema, pointer).map_err(Invalid::from)
}

/// Checks that `config` is valid under `schema`.
///
/// # Errors
///
/// Every mistake, with its place in the configuration. No error repeats a value, because a configuration may hold
/// secrets.
pub fn check_config(config: &Value, schema: &Value) -> Result<(), Invalid> {
    bounded_schema::check_config(config, schema).map_err(Invalid::from)
}

impl From<bounded_schema::ValidationErrors> for Invalid {
    fn from(invalid: bounded_schema::ValidationErrors) -> Invalid {
        let field =
            |mistake: bounded_schema::ValidationError| FieldError { pointer: mistake.pointer, detail: mistake.detail };
        Invalid(invalid.0.into_iter().map(field).collect())
    }
}
