//! Answers that fit into a model's context: texts without control characters, and lists that end in time.

use serde::Serialize;

/// How many bytes an answer has unless the caller asks for more.
pub(crate) const USUAL_BYTES: usize = 4096;

/// How many bytes a caller may ask for.
pub(crate) const MOST_BYTES: usize = 65_536;

/// How many characters of one text are shown.
const TEXT_CHARACTERS: usize = 300;

/// A client's text on one line, without control and direction characters, and of bounded length.
pub(crate) fn clean(text: &str) -> String {
    let mut shown: String = text.chars().take(TEXT_CHARACTERS).map(|c| if hides(c) { ' ' } else { c }).collect();
    if text.chars().nth(TEXT_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a reader cannot see the character, or it changes how others are shown.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}' | '\u{FEFF}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{E0000}'..='\u{E007F}')
}

/// As many of the items as fit into the bytes, and at least one; with the number of those left out.
pub(crate) fn fitting<T: Serialize>(items: Vec<T>, bytes: Option<u32>) -> (Vec<T>, usize) {
    let bytes = bytes.map_or(USUAL_BYTES, |asked| (asked as usize).clamp(512, MOST_BYTES));
    // The rest of the answer has a few short fields.
    let mut left = bytes.saturating_sub(400);
    let all = items.len();
    let mut fitting = Vec::new();
    for item in items {
        let length = serde_json::to_vec(&item).map_or(usize::MAX, |json| json.len() + 1);
        if length > left && !fitting.is_empty() {
            break;
        }
        left = left.saturating_sub(length);
        fitting.push(item);
    }
    let left_out = all - fitting.len();
    (fitting, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_hide_what_it_says() {
        assert_eq!(clean("a\nb\u{1b}[31m\u{202e}c\u{e0041}"), "a b [31m c ");
        assert_eq!(clean(&"x".repeat(301)).chars().count(), 301);
        assert_eq!(clean("日本語 👩‍💻"), "日本語 👩‍💻");
    }

    #[test]
    fn a_list_ends_where_the_bytes_end() {
        let items: Vec<_> = (0..100).map(|_| "x".repeat(97)).collect();
        let (kept, left_out) = fitting(items.clone(), None);
        assert_eq!((kept.len(), left_out), (36, 64));
        assert_eq!(fitting(items.clone(), Some(20_000)).1, 0);
        assert_eq!(fitting(items, Some(1)).0.len(), 1, "one item is always there");
    }
}
