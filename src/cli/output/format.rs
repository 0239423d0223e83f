//! The formats of `-o`, and the flags that choose them.

use std::str::FromStr;

use clap::Args;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde_json_path::JsonPath;

use super::paint::When;
use super::path;

/// How data is printed.
#[derive(Debug, Clone)]
pub enum Format {
    /// A table for people.
    Table,
    /// A table with all columns.
    Wide,
    /// The API's document, indented.
    Json,
    /// An item a line.
    Ndjson,
    /// The API's document.
    Yaml,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// The name of each item.
    Name,
    /// What a JSONPath finds in the API's document, a line each.
    JsonPath(JsonPath),
    /// Some fields of each item, separated by tabs.
    Fields(Vec<String>),
}

/// The formats, for error messages and completion.
pub const FORMATS: [&str; 10] =
    ["table", "wide", "json", "ndjson", "yaml", "csv", "tsv", "name", "jsonpath=EXPR", "fields=a,b.c"];

/// Completes the formats in a shell.
fn formats() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &std::ffi::OsStr| {
        let typed = typed.to_string_lossy();
        let words = FORMATS.iter().map(|format| format.trim_end_matches("EXPR").trim_end_matches("a,b.c"));
        words.filter(|word| word.starts_with(&*typed)).map(CompletionCandidate::new).collect()
    })
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        if let Some(expression) = text.strip_prefix("jsonpath=") {
            return Ok(Format::JsonPath(path::parse(expression)?));
        }
        if let Some(fields) = text.strip_prefix("fields=") {
            return Ok(Format::Fields(fields.split(',').map(|field| field.trim().to_owned()).collect()));
        }
        Ok(match text {
            "table" => Format::Table,
            "wide" => Format::Wide,
            "json" => Format::Json,
            "ndjson" => Format::Ndjson,
            "yaml" => Format::Yaml,
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "name" => Format::Name,
            _ => return Err(format!("the formats are {}", FORMATS.join(", "))),
        })
    }
}

/// How a command prints.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// The format: table, wide, json, ndjson, yaml, csv, tsv, name, jsonpath=EXPR or fields=a,b.c.
    #[arg(short, long, value_name = "FORMAT", add = formats())]
    pub output: Option<Format>,
    /// Print no titles of columns.
    #[arg(long, hide_short_help = true)]
    pub no_headers: bool,
    /// Show times in UTC instead of local time. Formats for programs always have RFC 3339.
    #[arg(long, hide_short_help = true)]
    pub utc: bool,
    /// When to use colours. `auto` follows NO_COLOR and CLICOLOR_FORCE.
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub color: When,
    /// Print no messages and no progress, only data and errors.
    #[arg(long, hide_short_help = true)]
    pub quiet: bool,
}
