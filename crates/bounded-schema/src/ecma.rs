//! Translation of ECMA-262 patterns to the `regex` crate, where the two differ.
//!
//! The library translates `\d`, `\w`, `\s` and `\c`. The `regex` crate reads `\<` and `\>` as edges of a word, and `\b`
//! as the edge of a Unicode word. Its `.` matches three of the four line terminators.

use std::borrow::Cow;
use std::fmt::Write;
use std::str::Chars;

use regex_syntax::ast;
use regex_syntax::ast::parse::Parser;

/// The meaning of `.`: every character except the line terminators of ECMA-262 section 12.3.
const DOT: &str = r"[^\n\r\u{2028}\u{2029}]";

const LOOK_AROUND: &str = "look-ahead and look-behind are not supported in patterns: use a separate `pattern` under \
                           `allOf` for a look-ahead, and one under `not` for a negative look-ahead";

const BACK_REFERENCE: &str = "back-references are not supported in patterns: list the alternatives with `anyOf` or `|`";

/// The pattern for the library, with the meaning of ECMA-262.
///
/// As in a pattern without the flag `u` (Annex B), a backslash may escape every character that is not a letter or a
/// digit.
pub(crate) fn translate(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(['.', '\\']) {
        return Cow::Borrowed(pattern);
    }
    let dot = if sets_dot_all(pattern) { "." } else { DOT };
    let mut translated = String::with_capacity(pattern.len());
    let mut tokens = Tokens::of(pattern);
    while let Some(token) = tokens.next() {
        match token {
            Token::Char { char: '.', in_class: false } => translated.push_str(dot),
            Token::Char { char, .. } | Token::Escape { char: char @ ('<' | '>'), .. } => translated.push(char),
            Token::Escape { char: 'b', in_class: true } => translated.push_str(r"\x08"),
            Token::Escape { char: 'b', in_class: false } => translated.push_str(r"(?-u:\b)"),
            Token::Escape { char: 'B', in_class: false } => translated.push_str(r"(?-u:\B)"),
            Token::Escape { char: '0', .. } if !tokens.rest().starts_with(|next: char| next.is_ascii_digit()) => {
                translated.push_str(r"\x00");
            }
            Token::Escape { char: 'u', in_class } => {
                tokens.chars = code_unit(tokens.rest(), in_class, &mut translated).chars();
            }
            Token::Escape { char, .. } if char.is_ascii() => translated.extend(['\\', char]),
            Token::Escape { char, .. } => translated.push(char),
        }
    }
    if translated == pattern { Cow::Borrowed(pattern) } else { Cow::Owned(translated) }
}

/// Why the library cannot compile a pattern, if its size is not the reason.
pub(crate) fn defect(pattern: &str) -> Option<String> {
    let mut tokens = Tokens::of(pattern);
    while let Some(token) = tokens.next() {
        let rest = tokens.rest();
        match token {
            Token::Char { char: '(', in_class: false }
                if ["?=", "?!", "?<=", "?<!"].iter().any(|group| rest.starts_with(group)) =>
            {
                return Some(LOOK_AROUND.to_owned());
            }
            Token::Escape { char: '1'..='9', in_class: false } => return Some(BACK_REFERENCE.to_owned()),
            Token::Escape { char: 'k', in_class: false } if rest.starts_with('<') => {
                return Some(BACK_REFERENCE.to_owned());
            }
            _ => {}
        }
    }
    let reason = match Parser::new().parse(&translate(pattern)) {
        Ok(syntax) => {
            regex_syntax::hir::translate::Translator::new().translate(pattern, &syntax).err()?.kind().to_string()
        }
        Err(error) => reason(&error),
    };
    Some(format!("is not a regular expression of ECMA-262 in Unicode mode: {reason}"))
}

fn reason(error: &ast::Error) -> String {
    use ast::ErrorKind::{
        EscapeUnrecognized, RepetitionCountDecimalEmpty, RepetitionCountInvalid, RepetitionCountUnclosed,
        RepetitionMissing,
    };
    let kind = error.kind();
    match kind {
        RepetitionMissing | RepetitionCountDecimalEmpty | RepetitionCountInvalid | RepetitionCountUnclosed => {
            format!("{kind}; a `{{`, `*`, `+` or `?` that stands for itself needs a `\\` before it")
        }
        EscapeUnrecognized => {
            let span = error.span().start.offset..error.span().end.offset;
            let escape = error.pattern().get(span).unwrap_or_default();
            let instead = if escape == r"\Z" { "; the end of the text is `$`" } else { "" };
            format!("{kind} `{escape}`{instead}")
        }
        _ => kind.to_string(),
    }
}

/// Whether the pattern sets the flag that makes `.` match line terminators.
fn sets_dot_all(pattern: &str) -> bool {
    let mut tokens = Tokens::of(pattern);
    while let Some(token) = tokens.next() {
        if let Token::Char { char: '(', in_class: false } = token
            && let Some(group) = tokens.rest().strip_prefix('?')
        {
            let flags: String = group.chars().take_while(char::is_ascii_alphabetic).collect();
            let ends = group.get(flags.len()..).is_some_and(|rest| rest.starts_with([':', ')', '-']));
            if ends && flags.contains('s') {
                return true;
            }
        }
    }
    false
}

/// Translates an escape that starts with `\u`, where `rest` follows it, and returns the remainder.
///
/// No text contains half a character. So a surrogate alone in a class matches nothing, and ranges exclude all
/// surrogates.
fn code_unit<'a>(rest: &'a str, in_class: bool, translated: &mut String) -> &'a str {
    if let Some((char, rest)) = surrogate_pair(rest) {
        // Writing to a `String` cannot fail.
        let _ = write!(translated, "\\u{{{:x}}}", u32::from(char));
        return rest;
    }
    let Some(after) = surrogate(rest).filter(|_| in_class) else {
        translated.push_str(r"\u");
        return rest;
    };
    if let Some(after) = after.strip_prefix(r"-\u").and_then(surrogate) {
        translated.push_str(r"\P{any}");
        return after;
    }
    let begins = after.starts_with('-') && !after.starts_with("-]");
    let ends = translated.ends_with('-') && !translated.ends_with("[-") && !translated.ends_with("[^-");
    translated.push_str(match (begins, ends) {
        (true, _) => r"\u{e000}",
        (false, true) => r"\u{d7ff}",
        (false, false) => r"\P{any}",
    });
    after
}

/// The text after the four digits of a surrogate.
fn surrogate(rest: &str) -> Option<&str> {
    let (digits, after) = rest.split_at_checked(4)?;
    matches!(u16::from_str_radix(digits, 16), Ok(0xd800..=0xdfff)).then_some(after)
}

/// The character of two escaped surrogates, and the text after them. `rest` follows the first `\u`.
fn surrogate_pair(rest: &str) -> Option<(char, &str)> {
    let (high, rest) = rest.split_at_checked(4)?;
    let (low, rest) = rest.strip_prefix("\\u")?.split_at_checked(4)?;
    let units = [u16::from_str_radix(high, 16).ok()?, u16::from_str_radix(low, 16).ok()?];
    match char::decode_utf16(units).collect::<Vec<_>>()[..] {
        [Ok(char)] => Some((char, rest)),
        _ => None,
    }
}

/// A character of a pattern, with its backslash if it has one.
#[derive(Clone, Copy)]
enum Token {
    Char { char: char, in_class: bool },
    Escape { char: char, in_class: bool },
}

/// The position of a token relative to classes (`[…]`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Outside,
    /// After the `[`.
    Opened,
    /// After the `[^`.
    Negated,
    Inside,
}

/// The tokens of a pattern.
struct Tokens<'a> {
    chars: Chars<'a>,
    class: Class,
}

impl<'a> Tokens<'a> {
    fn of(pattern: &'a str) -> Tokens<'a> {
        Tokens { chars: pattern.chars(), class: Class::Outside }
    }

    /// The text after the last token.
    fn rest(&self) -> &'a str {
        self.chars.as_str()
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let char = self.chars.next()?;
        let escaped = if char == '\\' { self.chars.next() } else { None };
        let in_class = self.class != Class::Outside;
        self.class = match (self.class, char) {
            (Class::Outside, '[') => Class::Opened,
            (Class::Opened, '^') => Class::Negated,
            (Class::Outside, _) | (Class::Inside, ']') => Class::Outside,
            // The `regex` crate reads a leading `]` as a character of the class.
            (Class::Opened | Class::Negated | Class::Inside, _) => Class::Inside,
        };
        Some(match escaped {
            Some(char) => Token::Escape { char, in_class },
            None => Token::Char { char, in_class },
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r"^\<b\>$", "^<b>$")]
    #[case(r"[\<\>\-.]", r"[<>\-.]")]
    #[case("a.b", r"a[^\n\r\u{2028}\u{2029}]b")]
    #[case(r"a\.b[.][^.][].][^].][^^.]", r"a\.b[.][^.][].][^].][^^.]")]
    #[case(r"[a]\[.", r"[a]\[[^\n\r\u{2028}\u{2029}]")]
    #[case("(?s)a.b", "(?s)a.b")]
    #[case(r"\(?bits: .", r"\(?bits: [^\n\r\u{2028}\u{2029}]")]
    #[case(r"\bx\B[\b]", r"(?-u:\b)x(?-u:\B)[\x08]")]
    #[case(r"\0[\0]\01", r"\x00[\x00]\01")]
    #[case(r"[\ud83d\ude00-\ud83d\ude4f]\u0041\ud83d", r"[\u{1f600}-\u{1f64f}]\u0041\ud83d")]
    #[case(r"[\u0020-\uD7FF\uD800\uDBFF-\uDC00\uDFFF\t]", r"[\u0020-\uD7FF\P{any}\P{any}\P{any}\t]")]
    #[case(r"[^\ud800-\udfff][a-\udbff][\ud800-\uffff]", r"[^\P{any}][a-\u{d7ff}][\u{e000}-\uffff]")]
    #[case(r"\–\/", r"–\/")]
    #[case("\\", "\\")]
    fn a_pattern_is_translated(#[case] pattern: &str, #[case] translated: &str) {
        assert_eq!(translate(pattern), translated);
    }

    #[rstest]
    #[case("^(?!a)", Some("look-ahead"))]
    #[case("(?<=a)b", Some("look-ahead"))]
    #[case(r"\(?=[(?=]", None)]
    #[case(r"(a)\1", Some("back-references"))]
    #[case(r"(?<n>a)\k<n>", Some("back-references"))]
    #[case("^{.*}$", Some("not a regular expression"))]
    #[case("a(", Some("not a regular expression"))]
    #[case(r"\p{Nothing}", Some("not a regular expression"))]
    #[case(r"\Aa\Z", Some("the end of the text is `$`"))]
    #[case("^.{0,1000}$", None)]
    fn a_defect_is_told_from_a_size(#[case] pattern: &str, #[case] told: Option<&str>) {
        let defect = defect(pattern);
        assert_eq!(
            defect.as_deref().is_some_and(|text| text.contains(told.unwrap_or_default())),
            told.is_some(),
            "{defect:?}"
        );
    }
}
