//! The regular expressions of a schema: compiled once, within bounds, and charged for each match.
//!
//! They follow ECMA-262 as far as the `regex` crate supports it. That crate never takes exponential time. For some
//! expressions, however, its time is the compiled size times the length of the text, and the size can be large:
//! `^.{1,255}$` takes 344 KiB. So sizes are limited, and a match costs fuel by this product.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::{Keyword, PatternOptions, Regex, Validator};
use serde_json::{Map, Value, json};

use crate::fuel::charge;
use crate::metered::{Metered, MeteredJson};
use crate::structure::Structure;
use crate::validation_error::{ValidationError, ValidationErrors};
use crate::{MAX_ERRORS, ecma};

/// The maximum number of different patterns in a schema.
const MAX_PATTERNS: usize = 100;

/// The maximum length of a pattern, in bytes.
const MAX_LENGTH: usize = 1_000;

/// The size classes of compiled patterns, in bytes: most patterns are small, and a few are large. A pattern counts as
/// the smallest class that it fits into.
const SIZES: [usize; 6] = [512, 2 << 10, 8 << 10, MAX_NAME_PATTERN, 128 << 10, MAX_SIZE];
const MAX_SIZE: usize = 352 << 10;

/// The maximum size in `patternProperties`: the library compares every name of an object with all of them.
pub(crate) const MAX_NAME_PATTERN: usize = 44 << 10;

/// The maximum size of all patterns of a schema together, in bytes. Compiling takes up to 100 µs a KiB.
const MAX_TOTAL_SIZE: usize = 1280 << 10;

/// The bytes of a pattern's size for one unit of fuel, for each byte of text. A match takes up to 1 ns for the two of
/// them.
const SIZE_PER_UNIT: usize = 200;

/// The maximum cost, in units of fuel, of comparing the names in `properties` with the patterns in `patternProperties`.
/// The library does this before the check.
const MAX_NAMES_COST: usize = 1_000_000;

/// The library's options for a pattern of at most `size` bytes.
pub(crate) fn options(size: usize) -> PatternOptions<Regex> {
    PatternOptions::regex().size_limit(size).dfa_size_limit(1 << 20)
}

/// The patterns of one schema.
#[derive(Clone, Default)]
pub(crate) struct Patterns(HashMap<String, Arc<Pattern>>);

struct Pattern {
    text: String,
    size: usize,
    matches: Validator,
}

impl Patterns {
    /// Compiles all patterns of a schema, including those that no reference reaches.
    pub fn compile(structure: &Structure) -> Result<Patterns, ValidationErrors> {
        let mut patterns = Patterns::default();
        let mut errors = Vec::new();
        let mut total = 0;
        for noted in &structure.patterns {
            let known = patterns.0.get(noted.text).map(|pattern| pattern.size);
            let size = known.map_or_else(|| patterns.add(noted.text), Ok);
            // A refused pattern took as long as the largest.
            total += if known.is_some() { 0 } else { size.as_ref().copied().unwrap_or(MAX_SIZE) };
            let detail = match size {
                Err(detail) => detail,
                Ok(size) if noted.of_names && size > MAX_NAME_PATTERN => too_large(MAX_NAME_PATTERN),
                Ok(_) if patterns.0.len() > MAX_PATTERNS || total > MAX_TOTAL_SIZE => format!(
                    "is one pattern too many: at most {MAX_PATTERNS} different ones are supported, of {} KiB compiled",
                    MAX_TOTAL_SIZE >> 10,
                ),
                Ok(_) => continue,
            };
            errors.push(ValidationError { pointer: noted.place.clone(), detail });
            if total > MAX_TOTAL_SIZE || errors.len() >= MAX_ERRORS {
                break;
            }
        }
        if errors.is_empty() { Ok(patterns) } else { Err(ValidationErrors(errors)) }
    }

    /// The price of one byte of a property's name, which may be compared with `count` patterns.
    ///
    /// Refuses schemas for which the comparisons before the check would take too long.
    pub fn name_price(&self, structure: &Structure, count: usize) -> Result<u64, ValidationErrors> {
        let mut largest = 0;
        for schema in &structure.subschemas {
            let names = |keyword| schema.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::keys);
            let sizes = names("patternProperties").filter_map(|pattern| Some(self.0.get(pattern)?.size));
            let (all, one) = sizes.fold((0, 0), |(all, one), size| (all + size, size.max(one)));
            if all > 0 && names("properties").map(String::len).sum::<usize>() * all / SIZE_PER_UNIT > MAX_NAMES_COST {
                let detail = "has too many `properties` and `patternProperties`; use fewer of either";
                return Err(ValidationErrors::at(structure.place_of(schema), detail));
            }
            largest = largest.max(one);
        }
        Ok((count * largest / SIZE_PER_UNIT) as u64)
    }

    fn add(&mut self, text: &str) -> Result<usize, String> {
        let pattern = Pattern::compile(text)?;
        let size = pattern.size;
        self.0.insert(text.to_owned(), Arc::new(pattern));
        Ok(size)
    }

    /// The check of a string against a keyword `pattern`.
    pub fn keyword<'a>(
        &self,
        pattern: &Value,
    ) -> Result<Box<dyn for<'i> Keyword<'i, MeteredJson>>, jsonschema::ValidationError<'a>> {
        let text = pattern.as_str().unwrap_or_default();
        let pattern = match self.0.get(text) {
            Some(known) => Arc::clone(known),
            // A pattern of a metaschema, to which the library adds its own parts.
            None => Arc::new(Pattern::compile(text).map_err(jsonschema::ValidationError::custom)?),
        };
        Ok(Box::new(MatchPattern(pattern)))
    }
}

impl Pattern {
    /// Compiles a pattern in the smallest size class that it fits into.
    fn compile(text: &str) -> Result<Pattern, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("must have at most {MAX_LENGTH} bytes"));
        }
        let schema = json!({"pattern": ecma::translate(text)});
        for size in SIZES {
            if let Ok(matches) = jsonschema::options().with_pattern_options(options(size)).build(&schema) {
                return Ok(Pattern { text: text.to_owned(), size, matches });
            }
        }
        Err(ecma::defect(text).unwrap_or_else(|| too_large(MAX_SIZE)))
    }
}

fn too_large(size: usize) -> String {
    format!(
        "takes more than {} KiB compiled, which is too large: a bounded repetition (`{{0,1000}}`) takes as much as all its \
         copies; use `maxLength` or `maxItems` beside a `*`",
        size >> 10,
    )
}

/// The keyword `pattern`, instead of the library's own, which cannot tell the cost of a match in advance.
struct MatchPattern(Arc<Pattern>);

impl<'i> Keyword<'i, MeteredJson> for MatchPattern {
    fn validate(&self, node: Metered<'i>) -> Result<(), jsonschema::ValidationError<'i>> {
        if self.is_valid(node) {
            return Ok(());
        }
        Err(jsonschema::ValidationError::custom(format!("the value does not match the pattern `{}`", self.0.text)))
    }

    fn is_valid(&self, node: Metered<'i>) -> bool {
        let Value::String(text) = node.0 else { return true };
        charge((1 + text.len() * self.0.size / SIZE_PER_UNIT) as u64);
        self.0.matches.is_valid(node.0)
    }
}
