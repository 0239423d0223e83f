//! The depth of the library's recursion when it compiles a schema.
//!
//! The library compiles a subschema within the call for its parent. It compiles the target of a reference within the
//! call for the reference, up to eight levels. So the stack does not depend on the nesting alone: eight references,
//! each at the end of a deep nesting, take nine times as much.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::keywords::children;
use crate::structure::Structure;
use crate::validation_error::ValidationErrors;

/// The maximum number of nested calls. With the compilation of `unevaluated…` at the end, they take up to 1.3 MiB of
/// stack without optimisation. A thread has 2 MiB.
const MAX_DEPTH: usize = 100;

/// How many nested references the library follows before it postpones the next one.
const FOLLOWED: usize = 8;

/// The additional depth of a meta-schema.
const META_SCHEMA_DEPTH: usize = 24;

type Schema = Map<String, Value>;

/// Refuses a schema that needs too much stack to compile. `targets` has the targets of each subschema's references, and
/// `outside` the subschemas that refer to a meta-schema.
pub(crate) fn check(
    structure: &Structure,
    targets: &HashMap<*const Schema, Vec<&Schema>>,
    outside: &HashSet<*const Schema>,
) -> Result<(), ValidationErrors> {
    // In this list, the last entry of a subschema comes after its parent.
    let schemas = &structure.subschemas;
    let index: HashMap<*const Schema, usize> =
        schemas.iter().enumerate().map(|(index, schema)| (std::ptr::from_ref(*schema), index)).collect();
    let of = |schema: &Schema| index.get(&std::ptr::from_ref(schema)).copied();
    let within: Vec<Vec<usize>> =
        schemas.iter().map(|schema| children(schema).filter_map(|(_, child)| of(child)).collect()).collect();
    let referred: Vec<Vec<usize>> = schemas
        .iter()
        .map(|schema| {
            let targets = targets.get(&std::ptr::from_ref(*schema)).into_iter().flatten();
            targets.filter_map(|target| of(target)).collect()
        })
        .collect();
    // `$recursiveRef` compiles the whole schema once more, at any place.
    let limit = if structure.references.iter().any(|noted| noted.keyword == "$recursiveRef") { 2 } else { 1 };
    let limit = MAX_DEPTH / limit;
    // The depth of each subschema when the next reference is postponed, when one more is followed, when two …
    let mut followed = vec![0; schemas.len()];
    for more in 0..=FOLLOWED {
        let mut depths = vec![0; schemas.len()];
        for position in (0..schemas.len()).rev() {
            let deepest = |nexts: &[Vec<usize>], depths: &[usize]| {
                nexts.get(position).into_iter().flatten().filter_map(|next| depths.get(*next)).max().copied()
            };
            let mut below = deepest(&within, &depths).unwrap_or(0);
            if more > 0 {
                below = below.max(deepest(&referred, &followed).unwrap_or(0));
            }
            let Some(schema) = schemas.get(position) else { continue };
            if outside.contains(&std::ptr::from_ref(*schema)) {
                below = below.max(META_SCHEMA_DEPTH);
            }
            if below >= limit {
                let detail =
                    format!("has more than {limit} nested subschemas below it, references included; use fewer");
                return Err(ValidationErrors::at(structure.place_of(schema), detail));
            }
            if let Some(depth) = depths.get_mut(position) {
                *depth = below + 1;
            }
        }
        followed = depths;
    }
    Ok(())
}
