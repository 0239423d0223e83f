//! Modules without comments and blank space, as the binary has them.
//!
//! `build.rs` compiles this file, and nothing else uses it: a folder of `--dashboard FOLDER` is served as it is. Names and
//! statements stay, so that a browser's debugger still shows readable code. A line's end stays where a statement may
//! end without a semicolon.

/// What stands before a place, as far as it decides what a `/` there begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A value ended: the `/` divides.
    Value,
    /// A value is due: the `/` begins a regular expression.
    Operator,
}

/// A piece of a module.
#[derive(Clone, Copy)]
enum Piece<'a> {
    /// Blank space or a comment, and whether a line ends in it.
    Blank(bool),
    /// A word, a number, a string, a part of a template, a regular expression, or one sign.
    Token(&'a str),
}

/// Words after which a value is due. After other words, a `/` divides.
const BEFORE_VALUES: [&str; 14] = [
    "await",
    "case",
    "default",
    "delete",
    "do",
    "else",
    "in",
    "instanceof",
    "of",
    "return",
    "throw",
    "typeof",
    "void",
    "yield",
];

/// A module without comments, and with as little blank space as its meaning allows.
pub fn strip(module: &str) -> String {
    let mut pieces = Pieces { rest: module, braces: Vec::new(), before: Before::Operator };
    let mut made = String::with_capacity(module.len());
    let mut blank = None;
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Blank(ends_line) => blank = Some(ends_line || blank == Some(true)),
            Piece::Token(token) => {
                made.push_str(blank.take().map_or("", |ends_line| gap(&made, token, ends_line)));
                made.push_str(token);
            }
        }
    }
    made.push('\n');
    made
}

/// What stays of the blank space between what is made and a token.
fn gap(made: &str, token: &str, ends_line: bool) -> &'static str {
    let (Some(before), Some(after)) = (made.chars().next_back(), token.chars().next()) else { return "" };
    if ends_line {
        // After these, a statement goes on; before those, it may end without a sign.
        let is_needless = "{([,;".contains(before) || "})]".contains(after);
        return if is_needless { "" } else { "\n" };
    }
    let joins_words = is_word(before) && is_word(after);
    let joins_signs = before == after && "+-".contains(before);
    // A `/` may end a regular expression, whose flags would be the next word.
    let joins_slash = before == '/' || (before.is_ascii_digit() && after == '.');
    if joins_words || joins_signs || joins_slash { " " } else { "" }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || "_$#\\".contains(char) || !char.is_ascii()
}

/// Cuts a module into pieces.
struct Pieces<'a> {
    rest: &'a str,
    /// How many braces are open in each `${…}` of a template around this place.
    braces: Vec<usize>,
    before: Before,
}

impl<'a> Pieces<'a> {
    fn next(&mut self) -> Option<Piece<'a>> {
        let first = self.rest.chars().next()?;
        let (length, before) = match first {
            _ if first.is_whitespace() => return Some(self.blank(until(self.rest, |char| !char.is_whitespace()))),
            '/' if self.rest.starts_with("//") => return Some(self.blank(until(self.rest, |char| char == '\n'))),
            '/' if self.rest.starts_with("/*") => {
                let length = self.rest.find("*/").map_or(self.rest.len(), |end| end + 2);
                return Some(self.blank(length));
            }
            '/' if self.before == Before::Operator => (regex(self.rest), Before::Value),
            '"' | '\'' => (string(self.rest, first), Before::Value),
            '`' => self.template(),
            '}' if self.braces.last() == Some(&0) => {
                self.braces.pop();
                self.template()
            }
            _ if is_word(first) => {
                let length = until(self.rest, |char| !is_word(char));
                let is_operator = self.rest.get(..length).is_some_and(|word| BEFORE_VALUES.contains(&word));
                (length, if is_operator { Before::Operator } else { Before::Value })
            }
            _ => (first.len_utf8(), self.sign(first)),
        };
        self.before = before;
        self.take(length).map(Piece::Token)
    }

    fn take(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn blank(&mut self, length: usize) -> Piece<'a> {
        Piece::Blank(self.take(length).is_some_and(|text| text.contains('\n')))
    }

    /// The part of a template up to its end or to the next `${`.
    fn template(&mut self) -> (usize, Before) {
        let mut is_escaped = false;
        for (at, char) in self.rest.char_indices().skip(1) {
            match char {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '`' => return (at + 1, Before::Value),
                '{' if self.rest.get(..at).is_some_and(|text| text.ends_with('$') && !text.ends_with("\\$")) => {
                    self.braces.push(0);
                    return (at + 1, Before::Operator);
                }
                _ => {}
            }
        }
        (self.rest.len(), Before::Value)
    }

    fn sign(&mut self, sign: char) -> Before {
        if let Some(open) = self.braces.last_mut() {
            match sign {
                '{' => *open += 1,
                '}' => *open -= 1,
                _ => {}
            }
        }
        if ")]}".contains(sign) { Before::Value } else { Before::Operator }
    }
}

/// How many bytes come before the first character that ends something; all if none does.
fn until(text: &str, is_end: impl Fn(char) -> bool) -> usize {
    text.find(is_end).unwrap_or(text.len())
}

/// The length of the string at the start of a text.
fn string(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the regular expression at the start of a text, with its flags.
fn regex(text: &str) -> usize {
    let (mut is_escaped, mut in_class) = (false, false);
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => {
                return at + 1 + text.get(at + 1..).map_or(0, |rest| until(rest, |char| !is_word(char)));
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(module: &str, expected: &str) {
        assert_eq!(strip(module), format!("{expected}\n"));
        assert_eq!(strip(expected), format!("{expected}\n"), "a second time");
    }

    #[test]
    fn comments_and_blank_space_go() {
        check(
            "// @ts-check\nimport { a } from \"./a.js\";\n\n/** @param {string} b */\nexport const c = (b) => a + b;\n",
            "import{a}from\"./a.js\";export const c=(b)=>a+b;",
        );
        check("if (a /* why */ && b) {\n  return c; // so\n}", "if(a&&b){return c;}");
    }

    #[test]
    fn the_end_of_a_line_stays_where_a_statement_may_end() {
        check("let a = b\n  // here\nlet c = [\n  1,\n  2,\n]\n(d)", "let a=b\nlet c=[1,2,]\n(d)");
        check("a /* one\ntwo */ b", "a\nb");
    }

    #[test]
    fn words_and_signs_do_not_run_together() {
        check("const a = typeof b in c;", "const a=typeof b in c;");
        check("a + +b - -c + ++d", "a+ +b- -c+ ++d");
        check("1 .toFixed() / b", "1 .toFixed()/ b");
        check("class A { static #b = 1; c = this.#b in d; }", "class A{static #b=1;c=this.#b in d;}");
        check("/a/ in b", "/a/ in b");
    }

    #[test]
    fn strings_and_templates_stay_as_they_are() {
        check(r#"a = "// no  comment \" /*" + '  \'  //'"#, r#"a="// no  comment \" /*"+'  \'  //'"#);
        check(
            "html`<p  a=${ b }>  // ${ c ? html`<i>/* ${ { d: `}` } } */</i>` : \"\" }  </p>`",
            "html`<p  a=${b}>  // ${c?html`<i>/* ${{d:`}`}} */</i>`:\"\"}  </p>`",
        );
        check(r"`\` // \${ a }  $ { b }  ` + c", r"`\` // \${ a }  $ { b }  `+c");
    }

    #[test]
    fn regular_expressions_are_told_from_divisions() {
        check(r"a = /[/'`]\/ {2}/g.test(b) ? c / d : e / f;", r"a=/[/'`]\/ {2}/g.test(b)?c/ d:e/ f;");
        check("return /\"  '/ .test(a)", "return/\"  '/ .test(a)");
        check("(a + b) / c / `d`[e] / f", "(a+b)/ c/ `d`[e]/ f");
        check("html`${ /`/.test(a) }  `", "html`${/`/.test(a)}  `");
    }
}
