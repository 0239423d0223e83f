//! JSON Schema for untrusted documents: checks schemas, and configurations against them, within bounds.
//!
//! It is a separate package so that it can be compiled for size: it is a tenth of the program, and few requests need
//! it.
//!
//! Both documents are untrusted. The `jsonschema` crate checks them, but it trusts its schemas: a few hundred bytes can
//! make it take hours, gigabytes or the whole stack. So this crate first reads a schema and refuses one that exceeds a
//! limit (`structure`, `references`, `depth`, `patterns`). The library then reads values through nodes that count reads
//! and stop it when it takes too long (`metered`, `fuel`). `target` resolves references. `ecma` and `prepared`
//! translate a schema where the library would misread it. `dialect` knows the drafts, and `checker` words the mistakes.
//!
//! A schema is a JSON object, of draft 4, 6, 7, 2019-09 or 2020-12 as its `$schema` says, or else 2020-12. Its limits:
//!
//! | subject | limit |
//! |---|---|
//! | JSON values in total | 20,000 |
//! | nested subschemas | 40 |
//! | … including followed references, eight of them nested | 100 |
//! | nested subschemas for one value, including followed references | 64 |
//! | references | only within the schema, and to the meta-schemas of these drafts: nothing is ever fetched |
//! | content of `not`, counted for every `not` around it | 8 MiB |
//! | `$id` (draft 4: `id`) | only at the root, in 1,000 bytes; a plain name (`#name`, drafts 4 to 7) anywhere |
//! | the JSON Pointer to a subschema | 2,000 bytes |
//! | numbers | 64 characters, exponents to ±400 |
//! | patterns | 100 different ones of 1,000 bytes, without look-around and back-references |
//! | patterns, compiled | 352 KiB each, 44 KiB in `patternProperties`, 1,280 KiB together |
//! | schemas reached by `unevaluatedProperties` and `unevaluatedItems`, counted for every path | 2 MiB |
//!
//! A schema that refers to itself for the same value could never be checked, and is refused. `format`,
//! `contentMediaType` and `contentEncoding` are annotations in every draft.
//!
//! The check of a configuration may take 8,000,000 steps, which is half a second at most. If it exceeds them, a second
//! check looks for the first mistake only; if that fails too, the configuration is too complex. 1 MiB takes about 20 ms
//! under a plain schema. At most 100 mistakes are listed, each in 500 bytes. None of them contains a value of the
//! configuration, which may be secret: the library has no access to values when it writes a message.
//!
//! The caller limits the nesting of both documents, because the checks recurse.

use serde_json::Value;

use self::checker::Checker;
use self::dialect::Dialect;
use self::patterns::Patterns;
use self::structure::Structure;
pub use self::validation_error::{kind_of, pointer_push};
pub use crate::validation_error::{ValidationError, ValidationErrors};

mod canonical;
mod checker;
mod depth;
mod dialect;
mod ecma;
mod fuel;
mod keywords;
mod metered;
mod patterns;
mod prepared;
mod references;
mod structure;
mod target;
#[cfg(test)]
mod tests;
mod validation_error;

/// The maximum number of mistakes in one response.
const MAX_ERRORS: usize = 100;

/// The maximum length of a schema that is quick to check, in bytes.
const MAX_QUICK: usize = 2 * 1024;

/// Checks that `schema` is a valid JSON Schema, within the limits. `pointer` is its place in the document.
///
/// # Errors
///
/// Every mistake in the schema, with its place.
pub fn check(schema: &Value, pointer: &str) -> Result<(), ValidationErrors> {
    compile(schema, pointer).map(drop)
}

/// Checks that `config` is valid under `schema`.
///
/// # Errors
///
/// Every mistake, with its place in the configuration. No error repeats a value, because a configuration may hold
/// secrets.
pub fn check_config(config: &Value, schema: &Value) -> Result<(), ValidationErrors> {
    compile(schema, "/config_schema")?.check(config)
}

/// Whether [`check`] of the schema with this serialised text takes at most 2 ms. Most checks take about ten
/// microseconds.
///
/// A pattern may take 20 ms to compile. The library compiles `unevaluated…` once for every path to it. A reference that
/// does not start with `#` may need a whole meta-schema.
pub fn is_quick(text: &str) -> bool {
    text.len() <= MAX_QUICK
        && !text.contains("\"pattern")
        && !text.contains("\"unevaluated")
        && text.matches("\"$ref\"").count() == text.matches("\"$ref\":\"#").count()
}

fn compile(schema: &Value, pointer: &str) -> Result<Checker, ValidationErrors> {
    compile_root(schema).map_err(|ValidationErrors(mut errors)| {
        for error in &mut errors {
            error.pointer.insert_str(0, pointer);
        }
        ValidationErrors(errors)
    })
}

fn compile_root(schema: &Value) -> Result<Checker, ValidationErrors> {
    if !schema.is_object() {
        return Err(ValidationErrors::at(
            "",
            format!("must be a JSON Schema that is an object, not {}", kind_of(schema)),
        ));
    }
    let dialect = Dialect::of(schema)?;
    let mut structure = Structure::read(schema, dialect.id_keyword)?;
    dialect.check(schema)?;
    let reach = references::follow(&mut structure)?;
    let patterns = Patterns::compile(&structure)?;
    Checker::compile(&structure, &reach, patterns)
}
