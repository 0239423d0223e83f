//! A value in a column.

use jiff::Timestamp;
use serde_json::Value;

use super::moment::Moments;
use super::paint::Paint;
use super::path;
use super::text;

/// How people see the value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// As it is.
    Text,
    /// A number, aligned to the right.
    Number,
    /// US dollars, to the cent.
    Money,
    /// How long ago.
    Age,
    /// Local time.
    Time,
    /// `yes`, or nothing.
    Flag,
    /// How many members it has; nothing for none.
    Count,
    /// The names of the members of an object.
    Names,
    /// The members of a list, or `key=value` of an object.
    Members,
    /// What is wrong: in red.
    Wrong,
    /// A state, in the colour of what it means.
    State,
}

/// A cell of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// One line, without control characters.
    pub text: String,
    /// Its colour.
    pub paint: Paint,
}

/// The cell of a value.
pub fn cell(value: Option<&Value>, show: Show, moments: &Moments) -> Cell {
    let value = value.filter(|value| !value.is_null());
    let Some(value) = value else { return Cell { text: "-".into(), paint: Paint::Dim } };
    let shown = match show {
        Show::Money => value.as_f64().map(|usd| format!("{usd:.2}")),
        Show::Age => moment(value).map(|at| moments.age(at)),
        Show::Time => moment(value).map(|at| moments.time(at)),
        Show::Flag => value.as_bool().map(|flag| if flag { "yes".into() } else { "-".into() }),
        Show::Count => count(value).map(|count| if count == 0 { "-".into() } else { count.to_string() }),
        Show::Members => Some(members(value)),
        Show::Names => value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>().join(",")),
        Show::Text | Show::Number | Show::Wrong | Show::State => None,
    };
    let shown = shown.unwrap_or_else(|| path::raw(Some(value)));
    let shown = if shown.is_empty() { "-".to_owned() } else { text::one_line(&shown).into_owned() };
    let paint = match show {
        _ if shown == "-" => Paint::Dim,
        Show::Wrong => Paint::Bad,
        Show::State => of_state(&shown),
        _ => Paint::Plain,
    };
    Cell { text: shown, paint }
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn count(value: &Value) -> Option<usize> {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len))
}

fn members(value: &Value) -> String {
    let words: Vec<String> = match value {
        Value::Array(items) => items.iter().map(|item| path::raw(Some(item))).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| format!("{key}={}", path::raw(Some(value)))).collect()
        }
        other => vec![path::raw(Some(other))],
    };
    words.join(",")
}

fn of_state(word: &str) -> Paint {
    match word {
        "active" | "running" | "alive" | "ready" | "ok" | "live" | "enabled" | "following" => Paint::Good,
        "lost" | "gone" | "reused" | "parked" | "failed" => Paint::Bad,
        "unknown" | "unreachable" | "provisioning" | "stopping" | "left_behind" | "read_only" | "retrying" => {
            Paint::Warning
        }
        _ => Paint::Plain,
    }
}
