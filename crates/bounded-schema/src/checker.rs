//! A compiled schema, and what it says about a value.

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

/// The longest detail of one mistake, in bytes. The library lists every unexpected property.
const MAX_DETAIL: usize = 500;

/// What an error of the library takes, besides what it copies, in bytes.
const ERROR_SIZE: usize = 500;

/// A schema that is ready to check values.
pub(crate) struct Checker {
    validator: Validator<MeteredJson>,
    /// What a byte of a property's name costs.
    name_price: u64,
    /// How many digits the numbers of the schema have.
    digits: u64,
    /// What one error copies of the schema, at most, in bytes.
    copied: usize,
    /// What it names of the way through the schema for each level of the value, in bytes.
    way: usize,
}

impl Checker {
    /// Compiles a schema that is known to be within the limits.
    pub fn compile(structure: &Structure, reach: &Reach, patterns: Patterns) -> Result<Checker, ValidationErrors> {
        let name_price = patterns.name_price(structure, reach.name_patterns)?;
        let validator = build(&prepare(structure, reach), patterns)?;
        let way = structure.longest_pointer.saturating_mul(reach.height);
        Ok(Checker { validator, name_price, digits: structure.digits, copied: structure.longest_copy, way })
    }

    /// Compiles a schema of ours.
    pub fn of_metaschema(schema: &Value) -> Result<Checker, ValidationErrors> {
        let validator = build(schema, Patterns::default())?;
        Ok(Checker { validator, name_price: 1, digits: 0, copied: 100, way: 500 })
    }

    /// Checks a value.
    ///
    /// No detail contains anything of the value but names of its properties.
    pub fn check(&self, value: &Value) -> Result<(), ValidationErrors> {
        let (depth, pointer) = extent(value);
        let error_bytes = (ERROR_SIZE + self.copied + pointer).saturating_add(self.way.saturating_mul(depth));
        let prices = Prices { name_byte: self.name_price, digits: self.digits, error_bytes: error_bytes as u64 };
        let all = || self.validator.iter_errors(Metered(value)).take(MAX_ERRORS).map(|error| located(&error)).collect();
        let first = || self.validator.validate(Metered(value)).err().map(|error| located(&error)).into_iter().collect();
        // When there is too much to collect, the first mistake is better than none.
        let found: Vec<ValidationError> = metered(prices, all)
            .or_else(|| metered(prices, first))
            .ok_or_else(|| ValidationErrors::at("", "is too complex to be checked"))?;
        let mut mistakes = Vec::new();
        for mistake in found {
            // The metaschemas find some mistakes in more than one way.
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
        // The meta-schemas of all drafts: a schema may refer to that of another.
        .with_registry(&SPECIFICATIONS)
        .offline()
        // What these mean is left to the application, as the newer drafts have it.
        .should_validate_formats(false)
        .without_content_media_type_support("application/json")
        .without_content_encoding_support("base64")
        .with_pattern_options(patterns::options(patterns::MAX_NAME_PATTERN))
        .with_keyword("pattern", move |_, pattern, _| patterns.keyword(pattern))
        .build(schema)
        .map_err(|error| match error.kind() {
            // The library looks at the patterns of older drafts more strictly than where it compiles them.
            ValidationErrorKind::Format { .. } => ValidationErrors::at(
                error.instance_path().as_str(),
                "is no regular expression of ECMA-262 in Unicode mode: \
                 a bracket or brace that stands for itself needs a `\\` before it",
            ),
            _ => ValidationErrors::at(error.schema_path().as_str(), format!("cannot be used: {}", detail(&error))),
        })
}

/// How deep a value is nested, and the length of the longest pointer into it, in bytes.
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

/// What is wrong, in words.
fn detail(error: &jsonschema::ValidationError) -> String {
    let mut text = Clipped(String::new());
    // Clipped refuses what is too much, and then has what was asked for.
    let _ = describe(error, &mut text);
    if let Some(first) = text.0.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text.0
}

fn describe(error: &jsonschema::ValidationError, text: &mut Clipped) -> fmt::Result {
    match error.kind() {
        ValidationErrorKind::FalseSchema => text.write_str("the value is not allowed here"),
        ValidationErrorKind::Contains => text.write_str("the value lacks an item that `contains` asks for"),
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

/// A text that ends where it gets too long.
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
