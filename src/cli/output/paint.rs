//! Colours, where a person looks and wants them: <https://no-color.org>, <https://bixense.com/clicolors>.

use std::env;
use std::io::IsTerminal;

use clap::ValueEnum;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set; elsewhere only if CLICOLOR_FORCE is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    /// Whether `output` gets colours.
    pub fn applies_to(self, output: &impl IsTerminal) -> bool {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_forced = env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        match self {
            When::Always => true,
            When::Never => false,
            When::Auto if is_set("NO_COLOR") => false,
            When::Auto if is_forced => true,
            When::Auto => output.is_terminal() && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb"),
        }
    }
}

/// The colour of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// The terminal's own.
    #[default]
    Plain,
    /// For headings.
    Bold,
    /// For what matters less.
    Dim,
    /// For what is well.
    Good,
    /// For what may need attention.
    Warning,
    /// For what needs attention.
    Bad,
}

impl Paint {
    /// The sequence (ECMA-48, SGR) that begins the colour; empty for none.
    pub fn begin(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Bold => "\u{1b}[1m",
            Paint::Dim => "\u{1b}[2m",
            Paint::Good => "\u{1b}[32m",
            Paint::Warning => "\u{1b}[33m",
            Paint::Bad => "\u{1b}[31m",
        }
    }

    /// The sequence that ends it.
    pub fn end(self) -> &'static str {
        if self == Paint::Plain { "" } else { "\u{1b}[0m" }
    }
}
