//! An event for people, on one line.

use serde_json::Value;

use crate::cli::output::moment::Moments;
use crate::cli::output::{path, text};

/// An event on a line.
pub fn line(event: &Value, moments: &Moments) -> String {
    let field = |name| text::one_line(&path::raw(path::at(event, name))).into_owned();
    let time = field("time").parse().map_or_else(|_| field("time"), |at| moments.time(at));
    let by = path::at(event, "principal").map(|_| format!("  by {}", field("principal"))).unwrap_or_default();
    format!("{}  {time}  {}  {}{by}\n", field("id"), field("type"), field("subject"))
}
