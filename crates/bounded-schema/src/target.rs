//! The target of a reference: a place in the schema, a name in it, or a meta-schema.

use jsonschema::{Draft, uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use referencing::meta;
use serde_json::Value;

use crate::structure::{MAX_ID, Structure};

/// The maximum number of nested subschemas of a meta-schema for one value.
pub(crate) const META_SCHEMA_HEIGHT: usize = 8;

/// The weight of a meta-schema, in bytes.
pub(crate) const META_SCHEMA_WEIGHT: usize = 128 << 10;

/// The characters that a fragment must percent-encode (RFC 3986 section 3.5).
const NOT_IN_FRAGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/')
    .remove(b'?');

const ONLY_WITHIN: &str = "only references within the schema (`#…`) and to meta-schemas of known drafts are supported; \
                           copy the referenced schema to `$defs`";

/// The target of a reference.
pub(crate) enum Target<'a> {
    /// A subschema, by its JSON Pointer.
    Place { schema: &'a Value, place: String },
    /// A subschema, by its plain name.
    Anchor { schema: &'a Value, name: String },
    /// A meta-schema or a part of it, by its URI.
    MetaSchema { uri: String },
}

/// Finds the target of `reference`, the value of `keyword`.
pub(crate) fn find<'a>(structure: &Structure<'a>, keyword: &str, reference: &Value) -> Result<Target<'a>, String> {
    let reference = reference.as_str().ok_or("must be a string")?;
    let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    // Clients write `#/$defs/List<int>`. A character without its percent-encoding is unambiguous.
    let fragment = percent_decode_str(fragment).decode_utf8().map_err(|_| "is not UTF-8")?;
    let id = structure.id();
    if document.len() > MAX_ID {
        return Err(ONLY_WITHIN.into());
    }
    if !document.is_empty() && document != id {
        let document = absolute(id, document).ok_or(ONLY_WITHIN)?;
        if absolute(id, id).as_ref() != Some(&document) {
            return meta_schema(structure, keyword, &document, &fragment);
        }
    }
    if keyword == "$recursiveRef" && !fragment.is_empty() {
        // 2019-09 section 8.2.4.2.1. The library would compile the whole schema again for any other value.
        return Err("must be `#`".into());
    }
    if fragment.is_empty() || fragment.starts_with('/') {
        let schema = schema_at(structure.root, &fragment)?;
        return Ok(Target::Place { schema, place: fragment.into_owned() });
    }
    let schema = structure.anchor(&fragment).ok_or("points to a place that does not exist in the schema")?;
    Ok(Target::Anchor { schema, name: fragment.into_owned() })
}

fn meta_schema<'a>(
    structure: &Structure<'a>,
    keyword: &str,
    document: &str,
    fragment: &str,
) -> Result<Target<'a>, String> {
    let (uri, schema) = match Draft::from_schema_uri(document) {
        Draft::Draft4 => ("http://json-schema.org/draft-04/schema", &meta::DRAFT4),
        Draft::Draft6 => ("http://json-schema.org/draft-06/schema", &meta::DRAFT6),
        Draft::Draft7 => ("http://json-schema.org/draft-07/schema", &meta::DRAFT7),
        Draft::Draft201909 => ("https://json-schema.org/draft/2019-09/schema", &meta::DRAFT201909),
        Draft::Draft202012 => ("https://json-schema.org/draft/2020-12/schema", &meta::DRAFT202012),
        _ => return Err(ONLY_WITHIN.into()),
    };
    if keyword != "$ref" {
        return Err(ONLY_WITHIN.into());
    }
    if structure.extends_meta_schema() {
        return Err("a schema that extends a meta-schema (`$recursiveAnchor`, `$dynamicAnchor` of the name `meta`) \
                    cannot refer to one"
            .into());
    }
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return Err("points into a meta-schema by a name; use a JSON Pointer".into());
    }
    schema_at(schema, fragment)?;
    Ok(Target::MetaSchema { uri: format!("{uri}#{}", encoded(fragment)) })
}

/// The schema at a JSON Pointer.
fn schema_at<'a>(root: &'a Value, pointer: &str) -> Result<&'a Value, String> {
    match root.pointer(pointer) {
        Some(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(schema),
        Some(_) => Err("points to a value that is not a schema".into()),
        None => Err("points to a place that does not exist in the schema".into()),
    }
}

/// The fragment of a URI for this text.
pub(crate) fn encoded(fragment: &str) -> String {
    utf8_percent_encode(fragment, &NOT_IN_FRAGMENT).to_string()
}

/// The URI of a reference in a schema with this identifier (RFC 3986 section 5.2).
fn absolute(id: &str, reference: &str) -> Option<String> {
    let base = uri::from_str(id).ok()?;
    let absolute = uri::resolve_against(&base.borrow(), reference).ok()?;
    Some(absolute.strip_fragment().as_str().to_owned())
}
