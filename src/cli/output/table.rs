//! Tables without borders: columns two spaces apart.

use super::cell::{Cell, Show};
use super::paint::Paint;
use super::text::{fitted, width};

/// A table in the making.
#[derive(Debug)]
pub struct Table {
    titles: Vec<&'static str>,
    shows: Vec<Show>,
    rows: Vec<Vec<Cell>>,
}

/// How wide the narrowest cut column is.
const NARROWEST: usize = 8;

impl Table {
    /// An empty table.
    pub fn new(columns: impl Iterator<Item = (&'static str, Show)>) -> Table {
        let (titles, shows) = columns.unzip();
        Table { titles, shows, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The text: at most `columns` wide, if that is given.
    pub fn text(&self, has_titles: bool, columns: Option<usize>, is_painted: bool) -> String {
        let widths = self.widths(has_titles, columns);
        let mut text = String::new();
        if has_titles {
            let titles: Vec<Cell> =
                self.titles.iter().map(|title| Cell { text: (*title).to_owned(), paint: Paint::Bold }).collect();
            self.line(&mut text, &titles, &widths, is_painted);
        }
        for row in &self.rows {
            self.line(&mut text, row, &widths, is_painted);
        }
        text
    }

    fn widths(&self, has_titles: bool, columns: Option<usize>) -> Vec<usize> {
        let widest =
            |index: usize| self.rows.iter().filter_map(|row| row.get(index)).map(|cell| width(&cell.text)).max();
        let titles = self.titles.iter().map(|title| if has_titles { width(title) } else { 0 });
        let mut widths: Vec<usize> =
            titles.enumerate().map(|(index, title)| title.max(widest(index).unwrap_or(0))).collect();
        let Some(columns) = columns else { return widths };
        // The widest column of text gives way first.
        loop {
            let whole = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
            let over = whole.saturating_sub(columns);
            let widest = widths.iter_mut().max_by_key(|width| **width).filter(|width| **width > NARROWEST);
            let (Some(widest), 1..) = (widest, over) else { return widths };
            *widest -= over.min((*widest - NARROWEST).div_ceil(2)).max(1);
        }
    }

    fn line(&self, text: &mut String, row: &[Cell], widths: &[usize], is_painted: bool) {
        let last = row.len().saturating_sub(1);
        for (index, ((cell, room), show)) in row.iter().zip(widths).zip(&self.shows).enumerate() {
            let shown = fitted(&cell.text, *room);
            let padding = " ".repeat(room.saturating_sub(width(&shown)));
            let is_right = matches!(show, Show::Number | Show::Money);
            let (begin, end) = if is_painted { (cell.paint.begin(), cell.paint.end()) } else { ("", "") };
            match (is_right, index == last) {
                (true, _) => text.extend([padding.as_str(), begin, &shown, end]),
                (false, true) => text.extend([begin, &shown, end]),
                (false, false) => text.extend([begin, &shown, end, &padding]),
            }
            text.push_str(if index == last { "\n" } else { "  " });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Cell {
        Cell { text: text.into(), paint: Paint::Plain }
    }

    fn table() -> Table {
        let mut table = Table::new([("NAME", Show::Text), ("USD", Show::Money), ("TITLE", Show::Text)].into_iter());
        table.push(vec![plain("日本"), plain("1.50"), plain("a long title of a plugin")]);
        table.push(vec![plain("b"), Cell { text: "24.50".into(), paint: Paint::Bad }, plain("é")]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_the_terminal_shows() {
        let text = "NAME    USD  TITLE\n日本   1.50  a long title of a plugin\nb     24.50  é\n";
        assert_eq!(table().text(true, None, false), text);
    }

    #[test]
    fn the_widest_column_gives_way_to_the_terminal() {
        let text = table().text(true, Some(24), false);
        assert_eq!(text, "NAME    USD  TITLE\n日本   1.50  a long tit…\nb     24.50  é\n");
    }

    #[test]
    fn colours_take_no_columns() {
        let text = table().text(false, None, true);
        assert_eq!(text.lines().nth(1).unwrap(), "b     \u{1b}[31m24.50\u{1b}[0m  é");
    }
}
