//! JSON Schema for documents of strangers: whether a document is a schema, and whether a configuration obeys it,
//! within bounds.
//!
//! It is a package of its own, so that it can be compiled for size: it is a tenth of the program, and few
//! requests meet it.
//!
//! Both documents come from strangers. The `jsonschema` crate checks them, but it trusts its
//! schemas: a few hundred bytes can make it take hours, gigabytes or the whole stack. So a schema
//! is read first, and refused where it exceeds a limit (`structure`, `references`, `depth`,
//! `patterns`); and the library reads the values it checks through nodes that count, and that
//! stop it when it takes too long (`metered`, `fuel`). `target` resolves references, `ecma` and
//! `prepared` give the library what it reads as the author means it, `dialect` knows the drafts,
//! `checker` words the mistakes.
//!
//! A schema is a JSON object, of draft 4, 6, 7, 2019-09 or 2020-12 as its `$schema` says, or else
//! 2020-12. Its limits:
//!
//! | of what | limit |
//! |---|---|
//! | JSON values, all counted | 20,000 |
//! | subschemas that stand within each other | 40 |
//! | … references followed, eight of them within each other | 100 |
//! | subschemas that apply to one value within each other, references followed | 64 |
//! | references | only within the schema, and to the meta-schemas of these drafts: nothing is ever fetched |
//! | what stands under `not`, for every `not` around it | 8 MiB |
//! | `$id` (draft 4: `id`) | only at the root, in 1,000 bytes; a plain name (`#name`, drafts 4 to 7) anywhere |
//! | the JSON Pointer to a subschema | 2,000 bytes |
//! | numbers | 64 characters, exponents to ±400 |
//! | patterns | 100 different ones of 1,000 bytes, without look-around and back-references |
//! | patterns, compiled | 352 KiB each, 44 KiB in `patternProperties`, 1,280 KiB together |
//! | what `unevaluatedProperties` and `unevaluatedItems` reach, for every way that leads there | 2 MiB |
//!
//! A schema that refers back to itself without a step into the value could never be checked, and is
//! refused. `format`, `contentMediaType` and `contentEncoding` are annotations in every draft.
//!
//! The check of a configuration may take 8,000,000 steps, half a second at most, and is then tried
//! once more for the first mistake alone; after that it fails as too complex. 1 MiB takes some 20 ms
//! under a plain schema. At most 100 mistakes are listed, each in 500 bytes. None of them tells a
//! value of the configuration, which may be secret: the library never gets to put one into a
//! message.
//!
//! Whoever reads the two documents bounds how deep they are nested: the checks recurse.

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

/// The most mistakes that one answer lists.
const MAX_ERRORS: usize = 100;

/// The longest schema that is checked quickly, in bytes.
const MAX_QUICK: usize = 2 * 1024;

/// Checks that `schema` is a valid JSON Schema, within the limits. `pointer` is where it stands in
/// the document.
///
/// # Errors
///
/// What is wrong with it, each by its place.
pub fn check(schema: &Value, pointer: &str) -> Result<(), ValidationErrors> {
    compile(schema, pointer).map(drop)
}

/// Checks that `config` obeys `schema`.
///
/// # Errors
///
/// Where it does not, each by its place in the configuration. No detail repeats a value: a
/// configuration may hold secrets.
pub fn check_config(config: &Value, schema: &Value) -> Result<(), ValidationErrors> {
    compile(schema, "/config_schema")?.check(config)
}

/// Whether [`check`] of the schema with this text, as it is serialised here, takes no more than 2 ms,
/// whatever it says. Most take some ten microseconds.
///
/// Patterns may take 20 ms each to compile, `unevaluated…` is compiled for every way to it, and a reference that does
/// not begin with `#` may bring a whole meta-schema.
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
