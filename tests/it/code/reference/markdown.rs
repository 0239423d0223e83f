//! Markdown: headings, paragraphs, lists and tables.

use super::RENEW;

/// A page in the making.
pub(super) struct Page(String);

impl Page {
    /// A page with its title, a note that it is generated, and what it is about.
    pub(super) fn new(title: &str, about: &str) -> Page {
        Page(format!("# {title}\n\n<!-- Generated. Do not edit it; renew it with `{RENEW}`. -->\n\n{about}\n"))
    }

    pub(super) fn heading(&mut self, level: usize, text: &str) {
        self.0.push_str(&format!("\n{} {text}\n", "#".repeat(level)));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.0.push_str(&format!("\n{text}\n"));
    }

    pub(super) fn list(&mut self, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.0.push('\n');
        items.iter().for_each(|item| self.0.push_str(&format!("- {item}\n")));
    }

    /// A table; none at all without rows. A column that is empty in all rows is left out.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let columns: Vec<usize> =
            (0..head.len()).filter(|column| rows.iter().any(|row| !row[*column].is_empty())).collect();
        let line = |cells: Vec<&str>| {
            let cells = cells.into_iter().map(|cell| if cell.is_empty() { " ".into() } else { format!(" {cell} ") });
            format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
        };
        self.0.push('\n');
        self.0.push_str(&line(columns.iter().map(|column| head[*column]).collect()));
        self.0.push_str(&format!("|{}\n", "---|".repeat(columns.len())));
        for row in rows {
            // Also between backticks a bar would end the cell.
            let cells: Vec<String> = columns.iter().map(|column| row[*column].replace('|', r"\|")).collect();
            self.0.push_str(&line(cells.iter().map(String::as_str).collect()));
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Text between backticks.
pub(super) fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// Texts between backticks, with commas between them.
pub(super) fn codes<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

/// A sentence of a source in one line; what is not between backticks is no HTML.
pub(super) fn prose(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = line.split('`').enumerate();
    parts
        .map(|(number, part)| if number % 2 == 0 { part.replace('<', r"\<") } else { part.into() })
        .collect::<Vec<_>>()
        .join("`")
}

/// A text with an upper-case letter at its beginning and a full stop at its end.
pub(super) fn sentence(text: &str) -> String {
    let text = prose(text);
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return text };
    let end = if text.ends_with(['.', ':', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}
