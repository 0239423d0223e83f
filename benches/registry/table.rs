//! The table of results, in Markdown.

use std::fmt;

use crate::samples::Samples;

/// The results, line by line.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 6]>,
    notes: Vec<String>,
}

/// The target of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

/// A quantity with its unit and remarks.
type Figure<'a> = (&'a Samples, &'a str);

impl Table {
    /// `measured` against `yardstick`; the target is for the ratio.
    pub(crate) fn compare(&mut self, what: &str, measured: Figure<'_>, yardstick: Figure<'_>, aim: Aim) {
        let ratio = measured.0.over(yardstick.0);
        let verdict = aim.verdict(ratio.median());
        self.push(what, measured, Some(yardstick), &ratio.to_string(), &aim.to_string(), verdict);
    }

    /// `measured` against `yardstick`, without a target.
    pub(crate) fn tell(&mut self, what: &str, measured: Figure<'_>, yardstick: Figure<'_>) {
        let ratio = measured.0.over(yardstick.0);
        self.push(what, measured, Some(yardstick), &ratio.to_string(), "", String::new());
    }

    /// A figure with a target for itself, beside another.
    pub(crate) fn judge(&mut self, what: &str, measured: Figure<'_>, beside: Figure<'_>, aim: Aim) {
        let verdict = aim.verdict(measured.0.median());
        self.push(what, measured, Some(beside), "", &format!("{aim} {}", measured.1), verdict);
    }

    /// A figure with a target for itself.
    pub(crate) fn judge_alone(&mut self, what: &str, measured: Figure<'_>, aim: Aim) {
        let verdict = aim.verdict(measured.0.median());
        self.push(what, measured, None, "", &format!("{aim} {}", measured.1), verdict);
    }

    /// A sentence below the table.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn push(
        &mut self,
        what: &str,
        measured: Figure<'_>,
        yardstick: Option<Figure<'_>>,
        ratio: &str,
        aim: &str,
        verdict: String,
    ) {
        let words = |(samples, unit): Figure<'_>| {
            if unit.starts_with('/') { format!("{samples}{unit}") } else { format!("{samples} {unit}") }
        };
        let yardstick = yardstick.map(words).unwrap_or_default();
        self.rows.push([what.into(), words(measured), yardstick, ratio.into(), aim.into(), verdict]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | measured | against | ratio | aim | verdict |\n|---|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        writeln!(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

impl Aim {
    /// "met", or by how much the target is missed.
    fn verdict(self, value: f64) -> String {
        let (met, bound) = match self {
            Aim::AtLeast(bound) => (value >= bound, bound),
            Aim::AtMost(bound) => (value <= bound, bound),
        };
        if met { "met".into() } else { format!("missed by {}", percent((value / bound - 1.0).abs())) }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aim::AtLeast(bound) => write!(f, "≥ {bound}"),
            Aim::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
