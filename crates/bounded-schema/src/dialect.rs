//! The drafts of JSON Schema, and whether a document is a schema by the one that it names.

use std::sync::LazyLock;

use jsonschema::Draft;
use serde_json::{Value, json};

use crate::checker::Checker;
use crate::mistake::Invalid;

/// A draft of JSON Schema.
pub(crate) struct Dialect {
    /// The keyword that names a schema.
    pub id_keyword: &'static str,
    metaschema: LazyLock<Result<Checker, Invalid>>,
}

static DRAFT_4: Dialect = Dialect::new("id", || metaschema("http://json-schema.org/draft-04/schema#"));
static DRAFT_6: Dialect = Dialect::new("$id", || metaschema("http://json-schema.org/draft-06/schema#"));
static DRAFT_7: Dialect = Dialect::new("$id", || metaschema("http://json-schema.org/draft-07/schema#"));
static DRAFT_2019_09: Dialect = Dialect::new("$id", || metaschema("https://json-schema.org/draft/2019-09/schema"));
static DRAFT_2020_12: Dialect = Dialect::new("$id", || metaschema("https://json-schema.org/draft/2020-12/schema"));

impl Dialect {
    const fn new(id_keyword: &'static str, metaschema: fn() -> Result<Checker, Invalid>) -> Dialect {
        Dialect { id_keyword, metaschema: LazyLock::new(metaschema) }
    }

    /// The dialect that `schema` names by `$schema`: 2020-12, if it names none.
    ///
    /// It has to be a known one: the library would look elsewhere for the definition of another.
    pub fn of(schema: &Value) -> Result<&'static Dialect, Invalid> {
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
            _ => Err(Invalid::at(
                "/$schema",
                "must be `https://json-schema.org/draft/2020-12/schema`, the same with 2019-09, or \
                 `http://json-schema.org/draft-07/schema#`, the same with 06 or 04",
            )),
        }
    }

    /// Checks that `schema` is one by this dialect.
    pub fn check(&self, schema: &Value) -> Result<(), Invalid> {
        match &*self.metaschema {
            Ok(metaschema) => metaschema.check(schema),
            Err(defect) => Err(defect.clone()),
        }
    }
}

fn metaschema(uri: &str) -> Result<Checker, Invalid> {
    Checker::of_metaschema(&json!({"$schema": uri, "$ref": uri}))
}
