//! A compiled schema, and the check of a value.

use std::fmt::{self, Write};

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use referencing::SPECIFICATIONS;
use serde_json::Value;

use crate::MAX_ERRORS;
use crate::fuel::{Prices, metered};
use crate::metered::{Metered, MeteredJson};
use crate::patterns::{self, Patterns};
use crate::prepared::prepare;
use crate::references::Reach;
use crate::structure::Structure;
use crate::validation_error::{ValidationError, ValidationErrors};

/// The maximum length of an error's detail, in bytes. The library lists every unexpected property.
const MAX_DETAIL: usize = 500;

/// The size of a library error without its copies, in bytes.
const ERROR_SIZE: usize = 500;

/// A compiled schema.
pub(crate) struct Checker {
    validator: Validator<MeteredJson>,
    /// The price of a byte of a property's name.
    name_price: u64,
    /// The maximum number of digits of a number in the schema.
    digits: u64,
    /// The maximum number of bytes that one error copies of the schema.
    copied: usize,
    /// The bytes of the schema's path in an error, for each level of the value.
    way: usize,
}

impl Checker {
    /// Compiles a schema that is within the limits.
    pub fn compile(structure: &Structure, reach: &Reach, patterns: Patterns) -> Result<Checker, ValidationErrors> {
        let name_price = patterns.name_price(structure, reach.name_patterns)?;
        let validator = build(&prepare(structure, reach), patterns)?;
        let way = structure.longest_pointer.saturating_mul(reach.height);
        Ok(Checker { validator, name_price, digits: structure.digits, copied: structure.longest_copy, way })
    }

    /// Compiles a metaschema.
    pub fn of_metaschema(schema: &Value) -> Result<Checker, ValidationErrors> {
        let validator = build(schema, Patterns::default())?;
        Ok(Checker { validator, name_price: 1, digits: 0, copied: 100, way: 500 })
    }

    /// Checks a value.
    ///
    /// Of the value, error details contain only names of properties.
    pub fn check(&self, value: &Value) -> Result<(), ValidationErrors> {
        let (depth, pointer) = extent(value);
        let error_bytes = (ERROR_SIZE + self.copied + pointer).saturating_add(self.way.saturating_mul(depth));
        let prices = Prices { name_byte: self.name_price, digits: self.digits, error_bytes: error_bytes as u64 };
        let all = || self.validator.iter_errors(Metered(value)).take(MAX_ERRORS).map(|error| located(&error)).collect();
        let first = || self.validator.validate(Metered(value)).err().map(|error| located(&error)).into_iter().collect();
        // If collecting all mistakes would take too long, report the first only.
        let found: Vec<ValidationError> = metered(prices, all).or_else(|| metered(prices, first)).ok_or_else(|| {
            ValidationErrors::at("", "is too complex to check; simplify the schema or shorten the value")
        })?;
        let mut mistakes = Vec::new();
        for mistake in found {
            // The metaschemas find some mistakes in several ways.
            if !mistakes.contains(&mistake) {
                mistakes.push(mistake);
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(ValidationErrors(mistakes)) }
    }
}

fn located(error: &jsonschema::ValidationError) -> ValidationError {
    ValidationError { pointer: error.instance_path().as_str().to_owned(), detail: detail(error) }
}

fn build(schema: &Value, patterns: Patterns) -> Result<Validator<MeteredJson>, ValidationErrors> {
    jsonschema::options_for::<MeteredJson>()
        // The meta-schemas of all drafts, because a schema may refer to another draft's.
        .with_registry(&SPECIFICATIONS)
        .offline()
        // Newer drafts leave the meaning of formats to the application.
        .should_validate_formats(false)
        .without_content_media_type_support("application/json")
        .without_content_encoding_support("base64")
        .with_pattern_options(patterns::options(patterns::MAX_NAME_PATTERN))
        .with_keyword("pattern", move |_, pattern, _| patterns.keyword(pattern))
        .build(schema)
        .map_err(|error| match error.kind() {
            // For older drafts, the library's check of patterns is stricter than its compiler.
            ValidationErrorKind::Format { .. } => ValidationErrors::at(
                error.instance_path().as_str(),
                "is not a regular expression of ECMA-262 in Unicode mode: \
                 a bracket or brace that stands for itself needs a `\\` before it",
            ),
            _ => ValidationErrors::at(error.schema_path().as_str(), format!("cannot be used: {}", detail(&error))),
        })
}

/// The nesting depth of a value, and the length of the longest pointer into it, in bytes.
fn extent(value: &Value) -> (usize, usize) {
    let longer = |(depth, pointer): (usize, usize), token: usize, member| {
        let (below, rest) = extent(member);
        (depth.max(1 + below), pointer.max(1 + token + rest))
    };
    match value {
        Value::Array(items) => items.iter().fold((0, 0), |extent, item| longer(extent, 6, item)),
        Value::Object(members) => {
            members.iter().fold((0, 0), |extent, (name, member)| longer(extent, name.len(), member))
        }
        _ => (0, 0),
    }
}

/// The mistake, in words.
fn detail(error: &jsonschema::ValidationError) -> String {
    let mut text = Clipped(String::new());
    // `Clipped` returns an error at its limit, and then holds the text up to there.
    let _ = describe(error, &mut text);
    if let Some(first) = text.0.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text.0
}

fn describe(error: &jsonschema::ValidationError, text: &mut Clipped) -> fmt::Result {
    match error.kind() {
        ValidationErrorKind::FalseSchema => text.write_str("the value is not allowed here"),
        ValidationErrorKind::Contains => text.write_str("the value lacks an item that `contains` requires"),
        ValidationErrorKind::PropertyNames { error } => {
            write!(text, "the name of a property is not allowed: {}", error.masked_with("the name"))
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            text.write_str("the value is not valid in any of the allowed ways")?;
            for (index, mistake) in context.iter().filter_map(|way| way.first()).enumerate() {
                text.write_str(if index == 0 { ": " } else { "; or: " })?;
                describe(mistake, text)?;
            }
            Ok(())
        }
        _ => write!(text, "{}", error.masked_with("the value")),
    }
}

/// A text with a maximum length.
struct Clipped(String);

impl Write for Clipped {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MAX_DETAIL.saturating_sub(self.0.len());
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        self.0.push_str(more.get(..more.floor_char_boundary(room)).unwrap_or_default());
        self.0.push('…');
        Err(fmt::Error)
    }
}
