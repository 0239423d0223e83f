//! The pause between two probes of a remote resource: pure arithmetic.

use jiff::{SignedDuration, Timestamp};

/// The pauses between probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after a success. A longer pause notices changes later; a shorter one sends more requests.
    pub interval: SignedDuration,
    /// The longest pause: each failure in a row doubles the pause up to this.
    pub longest: SignedDuration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { interval: SignedDuration::from_secs(60), longest: SignedDuration::from_mins(2) }
    }
}

impl Backoff {
    /// The time of the next probe after `failures` in a row.
    ///
    /// `chance`, from 0 to 1, shortens or lengthens the pause by up to a tenth, so that probes which began
    /// together spread out.
    pub fn next(&self, failures: u32, now: Timestamp, chance: f64) -> Timestamp {
        let doubled = self.interval.checked_mul(1 << failures.min(20)).unwrap_or(self.longest);
        let pause = doubled.min(self.longest.max(self.interval));
        now.saturating_add(pause.mul_f64(0.9 + chance.clamp(0.0, 1.0) / 5.0)).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0.5, 60)]
    #[case(0, 0.0, 54)]
    #[case(0, 1.0, 66)]
    #[case(1, 0.5, 120)]
    #[case(2, 0.5, 240)]
    #[case(3, 0.5, 300)]
    #[case(u32::MAX, 0.5, 300)]
    // A value outside the range is clamped.
    #[case(0, 9.0, 66)]
    #[case(0, -9.0, 54)]
    fn pauses_double_and_differ_a_little(#[case] failures: u32, #[case] chance: f64, #[case] seconds: i64) {
        let pace = Backoff { longest: SignedDuration::from_secs(300), ..Backoff::default() };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(pace.next(failures, now, chance).duration_since(now), SignedDuration::from_secs(seconds));
    }
}
