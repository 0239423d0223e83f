//! Times as clients write them.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

/// The last time that the stores keep: the last whole second of [`Timestamp`], because they count microseconds.
const LAST: Timestamp = Timestamp::constant(253_402_207_200, 0);

/// Parses a time (RFC 3339).
///
/// Clients send the last second of the year 9999 for "forever", but [`Timestamp`] ends a day earlier. A later time of
/// that year counts as the last one.
pub fn parse(text: &str) -> Option<Timestamp> {
    let time = text.parse().ok().or_else(|| {
        let pieces = Pieces::parse(text).ok()?;
        let (time, offset) = (pieces.time()?, pieces.to_numeric_offset()?);
        let is_late = pieces.date().year() == 9999 && offset.to_timestamp(pieces.date().to_datetime(time)).is_err();
        is_late.then_some(LAST)
    })?;
    Some(LAST.min(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_second_of_9999_was_refused() {
        for forever in [
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59+14:00",
            "9999-12-31T23:59:59-12:00",
            "9999-12-31 23:59:59z",
        ] {
            assert_eq!(parse(forever), Some(LAST), "{forever}");
        }
        assert_eq!(parse("9999-12-30T22:00:00.5Z"), Some(LAST));
        assert_eq!(parse("9999-12-30T00:00:00Z").map(|time| time < LAST), Some(true));
        assert_eq!(LAST.as_second(), Timestamp::MAX.as_second());
        assert_eq!(Timestamp::from_microsecond(LAST.as_microsecond()).ok(), Some(LAST), "the stores keep it");
        assert_eq!(parse("2026-11-21T08:30:00+01:00"), "2026-11-21T07:30:00Z".parse().ok());
        for wrong in ["", "9999-12-31", "9999-12-31T23:59:59", "9999-12-32T00:00:00Z", "10000-01-01T00:00:00Z", "2026"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
