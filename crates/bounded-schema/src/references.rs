//! The targets of a schema's references, and proof that following them ends.
//!
//! The library compiles any references, and can need unbounded time, memory or stack: for a schema that refers to
//! itself for the same value, for a long chain of references, and for `unevaluated…` over references. For the last one
//! it compiles the targets once for every path to them.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::keywords::children;
use crate::structure::Structure;
use crate::target::{META_SCHEMA_HEIGHT, META_SCHEMA_WEIGHT, Target, find};
use crate::validation_error::{ValidationError, ValidationErrors};
use crate::{MAX_ERRORS, depth};

/// The maximum number of nested subschemas for one value, including followed references. The library checks by
/// recursion.
const MAX_HEIGHT: usize = 64;

/// The maximum bytes of schema to compile for `unevaluatedProperties` and `unevaluatedItems`: the content of such a
/// schema and all its references, counted for every path. Each byte takes 50 ns and ten bytes of memory.
const MAX_UNEVALUATED: usize = 2 << 20;

/// The maximum depth of that compilation, because the library compiles by recursion.
const MAX_UNEVALUATED_DEPTH: usize = 32;

type Schema = Map<String, Value>;

/// The result of following the references.
pub(crate) struct Reach<'a> {
    pub references: Vec<Resolved<'a>>,
    /// The maximum number of nested subschemas for one value.
    pub height: usize,
    /// The maximum number of names in `patternProperties` to compare with one property's name.
    pub name_patterns: usize,
}

/// A reference and its target.
pub(crate) struct Resolved<'a> {
    pub schema: *const Schema,
    pub keyword: &'static str,
    pub value: &'a Value,
    pub target: Target<'a>,
}

/// Follows every reference of the schema.
///
/// Refuses references without a target or to other documents, and schemas whose check would never end.
pub(crate) fn follow<'a>(structure: &mut Structure<'a>) -> Result<Reach<'a>, ValidationErrors> {
    let mut walk = Walk {
        targets: HashMap::new(),
        outside: HashSet::new(),
        heights: HashMap::new(),
        evaluated: 0,
        name_patterns: 0,
        open: Vec::new(),
    };
    let references = walk.resolve_all(structure)?;
    depth::check(structure, &walk.targets, &walk.outside)?;
    let mut reach = Reach { references, height: 0, name_patterns: 0 };
    for &schema in &structure.subschemas {
        reach.height = reach.height.max(walk.height(structure, schema, 0)?);
        walk.name_patterns = name_patterns(schema);
        if evaluates(schema) {
            walk.evaluate(structure, schema, 0)?;
        }
        reach.name_patterns = reach.name_patterns.max(walk.name_patterns);
    }
    Ok(reach)
}

struct Walk<'a> {
    /// The targets of each subschema's references.
    targets: HashMap<*const Schema, Vec<&'a Schema>>,
    /// The subschemas that refer to a meta-schema.
    outside: HashSet<*const Schema>,
    /// `None` while the computation is in progress.
    heights: HashMap<*const Schema, Option<usize>>,
    evaluated: usize,
    name_patterns: usize,
    /// The schemas in evaluation: the library stops at a reference to one of them.
    open: Vec<*const Schema>,
}

impl<'a> Walk<'a> {
    fn resolve_all(&mut self, structure: &mut Structure<'a>) -> Result<Vec<Resolved<'a>>, ValidationErrors> {
        let mut references = Vec::new();
        let mut errors = Vec::new();
        let mut next = 0;
        // Targets found in this loop are read as well, and may have further references.
        while let Some(reference) = structure.references.get(next) {
            next += 1;
            let (schema, keyword, value) = (std::ptr::from_ref(reference.schema), reference.keyword, reference.value);
            match find(structure, keyword, value) {
                Ok(target) => {
                    match &target {
                        Target::Place { schema: found, place } => {
                            self.targets.entry(schema).or_default().extend(found.as_object());
                            structure.read_also(found, place)?;
                        }
                        Target::Anchor { schema: found, .. } => {
                            self.targets.entry(schema).or_default().extend(found.as_object());
                        }
                        Target::MetaSchema { .. } => drop(self.outside.insert(schema)),
                    }
                    references.push(Resolved { schema, keyword, value, target });
                }
                Err(detail) => errors.push(ValidationError { pointer: reference.place.clone(), detail }),
            }
            if errors.len() >= MAX_ERRORS {
                break;
            }
        }
        if errors.is_empty() { Ok(references) } else { Err(ValidationErrors(errors)) }
    }

    /// The number of nested subschemas for one value, from `schema` on.
    fn height(
        &mut self,
        structure: &Structure<'a>,
        schema: &'a Schema,
        above: usize,
    ) -> Result<usize, ValidationErrors> {
        let key = std::ptr::from_ref(schema);
        match self.heights.get(&key) {
            Some(Some(height)) if above + height <= MAX_HEIGHT => return Ok(*height),
            Some(None) => {
                let detail = "refers back to itself for the same value: checking it would never end";
                return Err(ValidationErrors::at(structure.place_of(schema), detail));
            }
            None if above < MAX_HEIGHT => {}
            _ => return Err(too_high(structure, schema)),
        }
        self.heights.insert(key, None);
        let within = children(schema).filter(|(same_value, _)| *same_value).map(|(_, child)| child);
        let mut height = 0;
        if self.outside.contains(&key) {
            height = META_SCHEMA_HEIGHT;
            if above + height > MAX_HEIGHT {
                return Err(too_high(structure, schema));
            }
        }
        for next in within.chain(self.targets_of(schema)) {
            height = height.max(self.height(structure, next, above + 1)?);
        }
        self.heights.insert(key, Some(height + 1));
        Ok(height + 1)
    }

    /// Counts the work of the library for the unevaluated parts of `schema`.
    fn evaluate(
        &mut self,
        structure: &Structure<'a>,
        schema: &'a Schema,
        above: usize,
    ) -> Result<(), ValidationErrors> {
        let key = std::ptr::from_ref(schema);
        self.count_evaluated(structure, schema, structure.weight(schema), above)?;
        if self.open.contains(&key) {
            return Ok(());
        }
        self.open.push(key);
        self.evaluate_within(structure, schema, true, above)?;
        self.open.pop();
        Ok(())
    }

    fn count_evaluated(
        &mut self,
        structure: &Structure,
        schema: &Schema,
        weight: usize,
        above: usize,
    ) -> Result<(), ValidationErrors> {
        self.evaluated += weight;
        if self.evaluated > MAX_UNEVALUATED || above > MAX_UNEVALUATED_DEPTH {
            let detail = "`unevaluatedProperties` and `unevaluatedItems` reach too much of the schema; \
                          use fewer of them, or fewer references beside them";
            return Err(ValidationErrors::at(structure.place_of(schema), detail));
        }
        Ok(())
    }

    fn evaluate_within(
        &mut self,
        structure: &Structure<'a>,
        schema: &'a Schema,
        evaluated: bool,
        above: usize,
    ) -> Result<(), ValidationErrors> {
        let evaluated = evaluated || evaluates(schema);
        if evaluated {
            self.name_patterns += name_patterns(schema);
            if self.outside.contains(&std::ptr::from_ref(schema)) {
                self.count_evaluated(structure, schema, META_SCHEMA_WEIGHT, above)?;
            }
            for target in self.targets_of(schema) {
                self.evaluate(structure, target, above + 1)?;
            }
        }
        for (same_value, child) in children(schema) {
            self.evaluate_within(structure, child, evaluated && same_value, above + 1)?;
        }
        Ok(())
    }

    fn targets_of(&self, schema: &Schema) -> Vec<&'a Schema> {
        self.targets.get(&std::ptr::from_ref(schema)).cloned().unwrap_or_default()
    }
}

fn too_high(structure: &Structure, schema: &Schema) -> ValidationErrors {
    let detail = format!("has more than {MAX_HEIGHT} nested subschemas for one value; use fewer");
    ValidationErrors::at(structure.place_of(schema), detail)
}

fn evaluates(schema: &Schema) -> bool {
    schema.contains_key("unevaluatedProperties") || schema.contains_key("unevaluatedItems")
}

fn name_patterns(schema: &Schema) -> usize {
    schema.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len)
}
