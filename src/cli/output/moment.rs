//! Moments: how long ago, and when in local time.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Shows moments to people.
#[derive(Debug, Clone)]
pub struct Moments {
    now: Timestamp,
    zone: TimeZone,
}

impl Moments {
    /// Moments as seen at `now`; in UTC, or in the zone of this machine.
    pub fn at(now: Timestamp, in_utc: bool) -> Moments {
        Moments { now, zone: if in_utc { TimeZone::UTC } else { TimeZone::system() } }
    }

    /// How long ago a moment was, or `in 5m`.
    pub fn age(&self, moment: Timestamp) -> String {
        let seconds = self.now.as_second() - moment.as_second();
        match seconds {
            ..0 => format!("in {}", span(seconds.unsigned_abs())),
            _ => span(seconds.unsigned_abs()),
        }
    }

    /// The moment on the clock on the wall.
    pub fn time(&self, moment: Timestamp) -> String {
        moment.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

/// A length of time in its two largest units, without one that is zero: `3d4h`, `5m`, `12s`.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let first = UNITS.iter().position(|(length, _)| seconds >= *length).unwrap_or(3);
    let mut rest = seconds;
    let mut text = String::new();
    for (length, unit) in UNITS.iter().skip(first).take(2) {
        let count = rest / length;
        rest %= length;
        if count > 0 || text.is_empty() {
            // Writing to a String cannot fail.
            let _written = write!(text, "{count}{unit}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0s")]
    #[case(59, "59s")]
    #[case(60, "1m")]
    #[case(3_599, "59m59s")]
    #[case(7_200, "2h")]
    #[case(90_061, "1d1h")]
    #[case(8_640_000, "100d")]
    fn a_span_has_two_units(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(span(seconds), text);
    }

    #[test]
    fn ages_go_both_ways() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let moments = Moments::at(now, true);
        assert_eq!(moments.age("2026-01-02T03:04:00Z".parse().unwrap()), "5s");
        assert_eq!(moments.age("2026-01-02T03:09:05Z".parse().unwrap()), "in 5m");
        assert_eq!(moments.time(now), "2026-01-02 03:04:05");
    }
}
