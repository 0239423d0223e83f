//! Schemas of real programs: which are accepted, which are refused, and why.
//!
//! `corpus.jsonl` has one schema a line. `origin` is the package, its version, its licence and the file, or the
//! generator of the schema. `schema` has only the relevant keywords and some of the properties. python-jsonschema
//! agrees with the verdicts on the documents in `valid` and `invalid`. A refused row has `refused`: the place, and a
//! part of the text.

use bounded_schema::{ValidationErrors, check, check_config};
use serde_json::Value;

const CORPUS: &str = include_str!("corpus.jsonl");

/// The difference between a row and the result; `None` if they agree.
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
