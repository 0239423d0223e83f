//! Text of strangers on a terminal: control characters, and the width of Unicode.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Returns true if and only if a terminal could obey the character, or it changes the order of the text around it.
///
/// That is C0, DEL, C1, and the characters of bidirectional text that hide what a text says (CVE-2021-42574).
pub fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with each control character as JSON escapes it: `\u001b`. Line feeds and tabs stay if `keeps_lines`.
fn escaped(text: &str, keeps_lines: bool) -> Cow<'_, str> {
    let is_bad = |character: char| is_control(character) && !(keeps_lines && matches!(character, '\n' | '\t'));
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' if !keeps_lines => safe.push_str("\\n"),
            '\t' if !keeps_lines => safe.push_str("\\t"),
            '\r' if !keeps_lines => safe.push_str("\\r"),
            character if is_bad(character) => {
                // Writing to a String cannot fail.
                let _written = write!(safe, "\\u{:04x}", u32::from(character));
            }
            character => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// One line without control characters.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, false)
}

/// Lines without other control characters.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

/// How many columns of a terminal the text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of the text that fits into `columns`, with `…` where it was cut.
pub fn fitted(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let (mut cut, mut taken) = (String::new(), 0);
    for character in text.chars() {
        let next = character.width().unwrap_or(0);
        if taken + next + 1 > columns {
            break;
        }
        taken += next;
        cut.push(character);
    }
    cut.push('…');
    Cow::Owned(cut)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("\u{1b}[31mred", "\\u001b[31mred")]
    #[case("\u{9b}31m", "\\u009b31m")]
    #[case("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007")]
    #[case("a\u{202e}b", "a\\u202eb")]
    #[case("a\nb\rc", "a\\nb\\rc")]
    #[case("\u{7f}", "\\u007f")]
    #[case("日本 👩‍👩‍👧 é", "日本 👩‍👩‍👧 é")]
    fn no_control_character_reaches_the_terminal(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(one_line(text), shown);
    }

    #[rstest]
    #[case("abc", 3)]
    #[case("日本", 4)]
    #[case("e\u{301}", 1)]
    #[case("🚀", 2)]
    fn a_width_is_that_of_the_terminal(#[case] text: &str, #[case] columns: usize) {
        assert_eq!(width(text), columns);
    }

    #[rstest]
    #[case("日本語", 5, "日本…")]
    #[case("日本語", 4, "日…")]
    #[case("abc", 3, "abc")]
    #[case("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…")]
    fn a_cut_fits(#[case] text: &str, #[case] columns: usize, #[case] shown: &str) {
        assert_eq!(fitted(text, columns), shown);
    }
}
