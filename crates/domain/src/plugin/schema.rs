//! JSON Schema: whether a document is one, and whether a configuration obeys it.
//!
//! `bounded_schema` says so, a package of this workspace; its documentation has the limits.

pub use bounded_schema::is_quick;
use serde_json::Value;

use super::read::{FieldError, Invalid};

/// Checks that `schema` is a valid JSON Schema, within the limits. `pointer` is where it stands in
/// the document.
///
/// # Errors
///
/// What is wrong with it, each by its place.
pub fn check(schema: &Value, pointer: &str) -> Result<(), Invalid> {
    bounded_schema::check(schema, pointer).map_err(Invalid::from)
}

/// Checks that `config` obeys `schema`.
///
/// # Errors
///
/// Where it does not, each by its place in the configuration. No detail repeats a value: a
/// configuration may hold secrets.
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
