//! When to retry a failed delivery, and when to stop retrying: pure arithmetic.

use jiff::{SignedDuration, Timestamp};

/// The delays between attempts: each failure doubles the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The delay after the first failure. A longer delay slows down the recovery from short faults; a shorter delay
    /// burdens a target that restarts.
    pub first: SignedDuration,
    /// The longest delay. A longer delay sends fewer requests to a target that is down, but notices its recovery later.
    pub longest: SignedDuration,
    /// How long to retry a delivery after its first failure. The last attempt happens at the end of this time.
    pub patience: SignedDuration,
}

impl Default for BackOff {
    fn default() -> BackOff {
        BackOff {
            first: SignedDuration::from_secs(5),
            longest: SignedDuration::from_hours(6),
            patience: SignedDuration::from_hours(24),
        }
    }
}

impl BackOff {
    /// When to retry a delivery that failed `failures` times, first at `since` and last at `now`; `None` when the time
    /// to retry is over.
    ///
    /// `chance`, from 0 to 1, shortens the delay by up to a half. The webhooks of a recovered target thus retry at
    /// different times.
    pub fn next_attempt(&self, failures: u32, since: Timestamp, now: Timestamp, chance: f64) -> Option<Timestamp> {
        let end = since.saturating_add(self.patience).unwrap_or(Timestamp::MAX);
        if now >= end {
            return None;
        }
        let pause = self.pause(failures).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0);
        Some(now.saturating_add(pause).unwrap_or(end).min(end))
    }

    fn pause(&self, failures: u32) -> SignedDuration {
        let doublings = failures.saturating_sub(1).min(30);
        self.first.checked_mul(1 << doublings).map_or(self.longest, |pause| pause.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[rstest]
    #[case(1, 0, 0.0, Some(5))]
    #[case(1, 0, 1.0, Some(2))]
    #[case(2, 10, 0.0, Some(20))]
    #[case(3, 10, 0.0, Some(30))]
    #[case(12, 0, 0.0, Some(10_240))]
    #[case(13, 0, 0.0, Some(20_480))]
    #[case(14, 0, 0.0, Some(21_600))]
    #[case(u32::MAX, 0, 0.0, Some(21_600))]
    #[case(0, 0, 0.0, Some(5))]
    // The last attempt is exactly at the end of the patience.
    #[case(15, 80_000, 0.0, Some(86_400))]
    #[case(16, 86_399, 0.5, Some(86_400))]
    #[case(17, 86_400, 0.0, None)]
    #[case(17, 900_000, 0.0, None)]
    // A chance out of range is clamped.
    #[case(1, 0, -3.0, Some(5))]
    #[case(1, 0, 7.0, Some(2))]
    fn attempts_are_spaced(
        #[case] failures: u32,
        #[case] now: i64,
        #[case] chance: f64,
        #[case] expected: Option<i64>,
    ) {
        let next = BackOff::default().next_attempt(failures, at(0), at(now), chance);
        assert_eq!(next.map(|next| next.as_second() - at(0).as_second()), expected);
    }

    #[test]
    fn a_target_that_stays_down_is_tried_for_a_day_and_then_no_more() {
        let (mut now, mut attempts) = (at(0), 1);
        while let Some(next) = BackOff::default().next_attempt(attempts, at(0), now, 0.0) {
            assert!(next > now);
            (now, attempts) = (next, attempts + 1);
        }
        assert_eq!((now, attempts), (at(86_400), 17));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_end_it() {
        assert_eq!(BackOff::default().next_attempt(1, at(0), at(-1_000_000), 0.0), Some(at(-999_995)));
    }
}
