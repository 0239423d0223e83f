//! Consecutive spans of time of the same length, for charts.

use jiff::{SignedDuration, Timestamp};

/// Consecutive spans of time of the same length; the last one may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The start of the first.
    pub from: Timestamp,
    /// The end of the last.
    pub to: Timestamp,
    /// The length of each.
    pub length: SignedDuration,
}

impl Steps {
    /// The number of steps.
    pub fn count(self) -> usize {
        let span = self.to.as_microsecond().saturating_sub(self.from.as_microsecond()).max(0);
        let whole = span.saturating_add(self.micros() - 1) / self.micros();
        usize::try_from(whole).unwrap_or(usize::MAX)
    }

    /// The start and the end of a step.
    pub fn span(self, index: usize) -> (Timestamp, Timestamp) {
        let start = |index: usize| {
            let after = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(self.micros());
            let at = Timestamp::from_microsecond(self.from.as_microsecond().saturating_add(after));
            at.unwrap_or(Timestamp::MAX).min(self.to)
        };
        (start(index), start(index.saturating_add(1)))
    }

    /// The step that has a time, if one has.
    pub fn index(self, at: Timestamp) -> Option<usize> {
        let since = at.as_microsecond().checked_sub(self.from.as_microsecond()).filter(|since| *since >= 0)?;
        usize::try_from(since / self.micros()).ok().filter(|_| at < self.to)
    }

    /// The length of a step in microseconds.
    pub fn micros(self) -> i64 {
        i64::try_from(self.length.as_micros()).unwrap_or(i64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_last_step_may_be_shorter() {
        let steps = Steps { from: at(100), to: at(125), length: SignedDuration::from_secs(10) };
        assert_eq!(steps.count(), 3);
        assert_eq!(steps.span(0), (at(100), at(110)));
        assert_eq!(steps.span(2), (at(120), at(125)));
        let indexes = [99, 100, 109, 110, 124, 125].map(|second| steps.index(at(second)));
        assert_eq!(indexes, [None, Some(0), Some(0), Some(1), Some(2), None]);
        let none = Steps { to: at(100), ..steps };
        assert_eq!((none.count(), none.index(at(100))), (0, None));
    }
}
