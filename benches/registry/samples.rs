//! The measured values of several rounds.

use std::fmt;

/// The values of one quantity, one per round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds the value of a round.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The ratio of this to `other`, round by round.
    pub(crate) fn over(&self, other: &Samples) -> Samples {
        Samples(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// The value of the latest round.
    pub(crate) fn last(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// The median.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        f64::midpoint(at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// The median, minimum and maximum, in three significant digits.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.sorted();
        let end = |value: Option<&f64>| figure(value.copied().unwrap_or(f64::NAN));
        write!(f, "{} ({}..{})", figure(self.median()), end(sorted.first()), end(sorted.last()))
    }
}

/// A number in about three significant digits, with a comma between thousands.
fn figure(value: f64) -> String {
    let whole = match value.abs() {
        100_000.0.. => format!("{:.0}000", value / 1e3),
        10_000.0.. => format!("{:.0}00", value / 1e2),
        1_000.0.. => format!("{:.0}0", value / 1e1),
        100.0.. => format!("{value:.0}"),
        10.0.. => return format!("{value:.1}"),
        _ => return format!("{value:.2}"),
    };
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
