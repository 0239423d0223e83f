//! What the tests write into a plugin, made so that half of it cannot pass for the whole: one token, never used
//! again, stands in the title, in a label and over and over in the description, and PIDs come in threes.

use serde_json::{Value, json};

/// What a document says, as far as the tests wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) token: String,
    pub(crate) pids: Vec<u64>,
}

impl Content {
    /// Reads a document, from a reply or from the journal.
    ///
    /// # Errors
    /// Says which parts do not belong together.
    pub(crate) fn of(document: &Value) -> Result<Content, String> {
        let token = text(document, "/title")?;
        let repeats: usize = text(document, "/labels/repeats")?.parse().map_err(|error| format!("repeats: {error}"))?;
        if text(document, "/labels/token")? != token {
            return Err(format!("title {token}, but another label: {document}"));
        }
        if text(document, "/description")? != description(token, repeats) {
            return Err(format!("title {token}, but another description: {document}"));
        }
        Ok(Content { token: token.to_owned(), pids: pids(document)? })
    }
}

/// The body of a registration. `repeats` is how often the token stands in the description, that is how large it is.
pub(crate) fn registration(category: &str, name: &str, token: &str, repeats: usize) -> Value {
    json!({
        "name": name,
        "category": category,
        "title": token,
        "config_schema": {"type": "object"},
        "description": description(token, repeats),
        "labels": {"token": token, "repeats": repeats.to_string()},
    })
}

/// The three PIDs that belong to `number`.
pub(crate) fn three_pids(number: u64) -> Vec<u64> {
    let first = number * 3 + 1;
    vec![first, first + 1, first + 2]
}

fn pids(document: &Value) -> Result<Vec<u64>, String> {
    let listed = document.pointer("/spawned_pids").and_then(Value::as_array).ok_or("no spawned_pids")?;
    let pids: Option<Vec<u64>> = listed.iter().map(Value::as_u64).collect();
    let pids = pids.ok_or_else(|| format!("odd PIDs: {listed:?}"))?;
    let whole = pids.is_empty() || pids == three_pids(pids[0] / 3);
    if whole { Ok(pids) } else { Err(format!("PIDs that were never sent together: {pids:?}")) }
}

fn description(token: &str, repeats: usize) -> String {
    // Long ones are checked thousands of times, and this copies them in a few steps.
    let mut text = format!("{token} ").repeat(repeats);
    text.pop();
    text
}

fn text<'a>(document: &'a Value, pointer: &str) -> Result<&'a str, String> {
    document.pointer(pointer).and_then(Value::as_str).ok_or_else(|| format!("no {pointer} in {document}"))
}
