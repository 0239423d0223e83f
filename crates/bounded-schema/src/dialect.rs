//! The drafts of JSON Schema, and the check of a schema against its draft's meta-schema.

use std::sync::LazyLock;

use jsonschema::Draft;
use serde_json::{Value, json};

use crate::checker::Checker;
use crate::validation_error::ValidationErrors;

/// A draft of JSON Schema.
pub(crate) struct Dialect {
    /// The keyword for a schema's identifier.
    pub id_keyword: &'static str,
    metaschema: LazyLock<Result<Checker, ValidationErrors>>,
}

static DRAFT_4: Dialect = Dialect::new("id", || metaschema("http://json-schema.org/draft-04/schema#"));
static DRAFT_6: Dialect = Dialect::new("$id", || metaschema("http://json-schema.org/draft-06/schema#"));
static DRAFT_7: Dialect = Dialect::new("$id", || metaschema("http://json-schema.org/draft-07/schema#"));
static DRAFT_2019_09: Dialect = Dialect::new("$id", || metaschema("https://json-schema.org/draft/2019-09/schema"));
static DRAFT_2020_12: Dialect = Dialect::new("$id", || metaschema("https://json-schema.org/draft/2020-12/schema"));

impl Dialect {
    const fn new(id_keyword: &'static str, metaschema: fn() -> Result<Checker, ValidationErrors>) -> Dialect {
        Dialect { id_keyword, metaschema: LazyLock::new(metaschema) }
    }

    /// The dialect in `$schema`; 2020-12 by default.
    ///
    /// An unknown dialect is an error, because the library would try to load its definition.
    pub fn of(schema: &Value) -> Result<&'static Dialect, ValidationErrors> {
        let named = match schema.get("$schema") {
            None => Draft::Draft202012,
            Some(named) => Draft::from_schema_uri(named.as_str().unwrap_or_default()),
        };
        match named {
            Draft::Draft4 => Ok(&DRAFT_4),
            Draft::Draft6 => Ok(&DRAFT_6),
            Draft::Draft7 => Ok(&DRAFT_7),
            Draft::Draft201909 => Ok(&DRAFT_2019_09),
            Draft::Draft202012 => Ok(&DRAFT_2020_12),
            _ => Err(ValidationErrors::at(
                "/$schema",
                "must be `https://json-schema.org/draft/2020-12/schema`, the same with 2019-09, or \
                 `http://json-schema.org/draft-07/schema#`, the same with 06 or 04",
            )),
        }
    }

    /// Checks `schema` against the dialect's meta-schema.
    pub fn check(&self, schema: &Value) -> Result<(), ValidationErrors> {
        let metaschema = self.metaschema.as_ref().map_err(Clone::clone)?;
        metaschema.check(schema).map_err(|ValidationErrors(mut mistakes)| {
            for mistake in &mut mistakes {
                if let Some(hint) = hint(schema, &mistake.pointer) {
                    hint.clone_into(&mut mistake.detail);
                }
            }
            ValidationErrors(mistakes)
        })
    }
}

/// A hint for a keyword with a value of an older draft. Generators that omit `$schema` may mean an older draft:
/// pydantic 1 does.
fn hint(schema: &Value, pointer: &str) -> Option<&'static str> {
    let (around, keyword) = pointer.rsplit_once('/')?;
    let is_name = ["/properties", "/patternProperties", "/$defs", "/definitions", "/dependentSchemas", "/dependencies"];
    if is_name.iter().any(|map| around.ends_with(map)) {
        return None;
    }
    match (keyword, schema.pointer(pointer)?) {
        ("items", Value::Array(_)) => Some(
            "must be one schema: for a tuple use `prefixItems`, or name a draft that allows arrays here: \
             `\"$schema\": \"http://json-schema.org/draft-07/schema#\"`",
        ),
        ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_)) => Some(
            "must be the limit itself, a number; or name a draft that allows booleans here: \
             `\"$schema\": \"http://json-schema.org/draft-04/schema#\"`",
        ),
        ("$id", Value::String(id)) if id.starts_with('#') => Some(
            "must not be a plain name: use `$anchor`, or name a draft that allows plain names here: \
             `\"$schema\": \"http://json-schema.org/draft-07/schema#\"`",
        ),
        _ => None,
    }
}

fn metaschema(uri: &str) -> Result<Checker, ValidationErrors> {
    Checker::of_metaschema(&json!({"$schema": uri, "$ref": uri}))
}
