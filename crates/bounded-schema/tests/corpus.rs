//! Schemas that real programs use: which are taken, which are refused, and why.
//!
//! `corpus.jsonl` has one a line: `origin` is the package, its version, its licence and the file, or the generator that
//! made the schema; `schema` is reduced to the keywords that matter, and to some of the properties. `valid` and `invalid` are documents that
//! python-jsonschema judges in the same way. A row that is refused has `refused`: where, and a part of the text.

use bounded_schema::{ValidationErrors, check, check_config};
use serde_json::Value;

const CORPUS: &str = include_str!("corpus.jsonl");

/// What is wrong with a row; `None` if all is as expected.
fn difference(row: &Value) -> Option<String> {
    let schema = &row["schema"];
    match (check(schema, ""), row.get("refused")) {
        (Ok(()), None) => {}
        (Err(ValidationErrors(mistakes)), Some(refused)) => {
            let text = |field: &str| refused.get(field).and_then(Value::as_str).unwrap_or("(missing)");
            let (pointer, because) = (text("pointer"), text("because"));
            let as_expected =
                mistakes.iter().any(|mistake| mistake.pointer == pointer && mistake.detail.contains(because));
            return (!as_expected).then(|| format!("expected {pointer}: {because}, got {mistakes:?}"));
        }
        (Ok(()), Some(refused)) => return Some(format!("taken, expected {refused}")),
        (Err(ValidationErrors(mistakes)), None) => return Some(format!("refused: {mistakes:?}")),
    }
    for (field, expected) in [("valid", true), ("invalid", false)] {
        for document in row.get(field).and_then(Value::as_array).into_iter().flatten() {
            if check_config(document, schema).is_ok() != expected {
                return Some(format!("not {field}: {document}"));
            }
        }
    }
    None
}

#[test]
fn real_schemas_are_taken_or_refused_as_expected() {
    let rows: Vec<Value> = CORPUS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let different: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row["origin"].as_str().unwrap_or("no origin"), difference(row)?)))
        .collect();
    assert!(
        different.is_empty(),
        "{} of {} schemas are not judged as expected:\n{}",
        different.len(),
        rows.len(),
        different.join("\n"),
    );
}
