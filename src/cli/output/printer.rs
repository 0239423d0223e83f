//! Prints lists page by page, and single documents.

use std::io::{self, IsTerminal as _, Write};

use rustix::termios::tcgetwinsize;
use serde_json::{Map, Value};

use super::cell::cell;
use super::format::{Format, OutputArgs};
use super::kind::{Column, Kind};
use super::moment::Moments;
use super::table::Table;
use super::{delimited, detail, json, path, text, yaml};
use crate::clock::{Clock as _, SystemClock};

/// Prints data on standard output, and messages on standard error.
#[derive(Debug, Clone)]
pub struct Printer {
    format: Format,
    has_titles: bool,
    is_painted: bool,
    is_quiet: bool,
    /// The width of the terminal; `None` for a pipe.
    columns: Option<usize>,
    is_in_utc: bool,
}

impl Printer {
    /// The printer that the flags ask for.
    pub fn new(args: &OutputArgs) -> Printer {
        let stdout = io::stdout();
        let columns = stdout.is_terminal().then(|| tcgetwinsize(&stdout).ok()).flatten();
        Printer {
            format: args.output.clone().unwrap_or(Format::Table),
            has_titles: !args.no_headers,
            is_painted: args.color.applies_to(&stdout),
            is_quiet: args.quiet,
            columns: columns.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0),
            is_in_utc: args.utc,
        }
    }

    /// The same, with all columns in a table.
    #[must_use]
    pub fn widened(self, is_wide: bool) -> Printer {
        let format = if is_wide && matches!(self.format, Format::Table) { Format::Wide } else { self.format };
        Printer { format, ..self }
    }

    /// The same without titles: for rows that follow.
    #[must_use]
    pub fn continued(self) -> Printer {
        Printer { has_titles: false, ..self }
    }

    /// Returns true if and only if people read the format.
    pub fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Whether the user wants no messages.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Whether colours are used.
    pub fn is_painted(&self) -> bool {
        self.is_painted
    }

    /// How moments are shown now. What a server just made is not in the future.
    pub fn moments(&self) -> Moments {
        Moments::at(SystemClock.now(), self.is_in_utc)
    }

    /// The format.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Writes a message to standard error, unless the user wants none.
    pub fn say(&self, message: &str) {
        if !self.is_quiet {
            // A command goes on if its messages cannot be written.
            drop(writeln!(io::stderr(), "{}", text::lines(message)));
        }
    }

    /// Prints text for people.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub fn text(&self, lines: &str) -> io::Result<()> {
        write_out(lines)
    }

    /// Begins a list.
    pub fn list(&self, kind: &'static Kind) -> List<'_> {
        let is_whole = matches!(self.format, Format::JsonPath(_));
        List { printer: self, kind, table: None, count: 0, last: Map::new(), kept: is_whole.then(Vec::new) }
    }

    /// Prints a list that is complete.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub fn whole_list(&self, kind: &'static Kind, document: Value) -> io::Result<()> {
        let mut list = self.list(kind);
        list.page(document)?;
        list.end()
    }

    /// Prints one document.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub fn one(&self, kind: &'static Kind, document: &Value) -> io::Result<()> {
        write_out(&match &self.format {
            Format::Table | Format::Wide => detail::text(document, &self.moments()),
            Format::Json => format!("{}\n", json::pretty(document)),
            Format::Yaml => yaml::document(document),
            Format::JsonPath(_) => self.found(document),
            _ => {
                let mut rows = self.header(kind);
                rows.push_str(&self.row(kind, document));
                rows
            }
        })
    }

    /// The columns of the format.
    fn columns_of(&self, kind: &'static Kind) -> impl Iterator<Item = &'static Column> {
        let has_all = !matches!(self.format, Format::Table);
        kind.columns.iter().filter(move |column| has_all || !column.is_wide)
    }

    /// The line before the rows.
    fn header(&self, kind: &'static Kind) -> String {
        let fields: Vec<String> = self.columns_of(kind).map(|column| column.field.to_owned()).collect();
        match self.format {
            Format::Csv if self.has_titles => delimited::csv(&fields),
            Format::Tsv if self.has_titles => delimited::tsv(&fields),
            _ => String::new(),
        }
    }

    /// An item on a line of its own.
    fn row(&self, kind: &'static Kind, item: &Value) -> String {
        let values = |fields: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            fields.map(|field| path::raw(path::at(item, field))).collect()
        };
        match &self.format {
            Format::Csv => delimited::csv(&values(&mut self.columns_of(kind).map(|column| column.field))),
            Format::Tsv => delimited::tsv(&values(&mut self.columns_of(kind).map(|column| column.field))),
            Format::Fields(fields) => delimited::tsv(&values(&mut fields.iter().map(String::as_str))),
            Format::Name => format!("{}\n", text::one_line(&kind.name_of(item))),
            _ => format!("{}\n", json::compact(item)),
        }
    }

    /// What the JSONPath finds.
    fn found(&self, document: &Value) -> String {
        let Format::JsonPath(path) = &self.format else { return String::new() };
        let found = path.query(document).all();
        found.iter().flat_map(|value| [text::lines(&path::raw(Some(value))).into_owned(), "\n".to_owned()]).collect()
    }
}

/// A list in the making.
#[derive(Debug)]
pub struct List<'a> {
    printer: &'a Printer,
    kind: &'static Kind,
    table: Option<Table>,
    count: usize,
    /// The members of the last page, without its items.
    last: Map<String, Value>,
    /// The items, for a format that needs all of them at once.
    kept: Option<Vec<Value>>,
}

impl List<'_> {
    /// Prints a page: a document with `items`.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub fn page(&mut self, page: Value) -> io::Result<()> {
        let Value::Object(mut members) = page else { return Ok(()) };
        let items = match members.shift_remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        self.last = members;
        let mut written = String::new();
        for item in items {
            self.item(&mut written, item);
        }
        write_out(&written)
    }

    fn item(&mut self, written: &mut String, item: Value) {
        let (printer, kind, moments) = (self.printer, self.kind, self.printer.moments());
        self.count += 1;
        match (&printer.format, &mut self.kept) {
            (_, Some(kept)) => kept.push(item),
            (Format::Table | Format::Wide, _) => {
                let columns = printer.columns_of(kind);
                let table =
                    self.table.get_or_insert_with(|| Table::new(columns.map(|column| (column.title, column.show))));
                let cells = printer.columns_of(kind);
                table.push(cells.map(|column| cell(path::at(&item, column.field), column.show, &moments)).collect());
            }
            (Format::Json, _) => {
                written.push_str(if self.count == 1 { "{\n  \"items\": [\n" } else { ",\n" });
                written.push_str(&indented(&json::pretty(&item), "    "));
            }
            (Format::Yaml, _) => {
                let document = yaml::document(&serde_json::json!({ "items": [item] }));
                let rows = document.strip_prefix("items:\n").unwrap_or(&document);
                written.push_str(if self.count == 1 { &document } else { rows });
            }
            _ => {
                if self.count == 1 {
                    written.push_str(&printer.header(kind));
                }
                written.push_str(&printer.row(kind, &item));
            }
        }
    }

    /// Ends the list.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub fn end(mut self) -> io::Result<()> {
        if let Some(cursor) = self.last.get_mut("next_cursor") {
            *cursor = Value::Null;
        }
        let printer = self.printer;
        let is_empty = self.count == 0;
        let text = match &printer.format {
            Format::Table | Format::Wide => {
                if is_empty {
                    printer.say(&format!("no {}", self.kind.plural));
                }
                self.table.map(|table| table.text(printer.has_titles, printer.columns, printer.is_painted))
            }
            Format::Json => {
                let begin = if is_empty { "{\n  \"items\": []" } else { "\n  ]" };
                let members = self.last.iter().map(|(key, value)| {
                    let name = json::compact(&Value::String(key.clone()));
                    format!(",\n  {name}: {}", indented(&json::pretty(value), "  ").trim_start())
                });
                Some(format!("{begin}{}\n}}\n", members.collect::<String>()))
            }
            Format::Yaml => {
                let rest = (!self.last.is_empty()).then(|| yaml::document(&Value::Object(self.last)));
                Some(if is_empty { "items: []\n" } else { "" }.to_owned() + &rest.unwrap_or_default())
            }
            Format::JsonPath(_) => {
                let mut whole = Map::new();
                whole.insert("items".into(), Value::Array(self.kept.unwrap_or_default()));
                whole.extend(self.last);
                Some(printer.found(&Value::Object(whole)))
            }
            _ if is_empty => Some(printer.header(self.kind)),
            _ => None,
        };
        write_out(&text.unwrap_or_default())
    }
}

fn indented(lines: &str, by: &str) -> String {
    lines.lines().map(|line| format!("{by}{line}")).collect::<Vec<_>>().join("\n")
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
