//! The periods of budgets, in UTC.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::wire_names;

wire_names! {
    /// The period of a budget.
    Period {
        /// From midnight (UTC) to midnight.
        Day = "day",
        /// From Monday to Sunday.
        Week = "week",
        /// A month of the calendar.
        Month = "month",
        /// All time from when the budget was made.
        Total = "total",
    }
}

impl Period {
    /// The start of the period that contains a time; `None` for all time.
    pub fn start(self, at: Timestamp) -> Option<Timestamp> {
        let day = at.to_zoned(TimeZone::UTC).start_of_day().ok()?;
        let first = match self {
            Period::Day => day,
            Period::Week => {
                let since_monday = day.weekday().since(Weekday::Monday);
                day.checked_sub(Span::new().days(since_monday)).ok()?
            }
            Period::Month => day.first_of_month().ok()?,
            Period::Total => return None,
        };
        Some(first.timestamp())
    }

    /// The end of the period that contains a time, which is the start of the next; `None` for all time.
    pub fn end(self, at: Timestamp) -> Option<Timestamp> {
        let start = self.start(at)?.to_zoned(TimeZone::UTC);
        let after = |span: Span| start.checked_add(span).ok().map(|next: Zoned| next.timestamp());
        match self {
            Period::Day => after(Span::new().days(1)),
            Period::Week => after(Span::new().days(7)),
            Period::Month => after(Span::new().months(1)),
            Period::Total => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_and_end_at_midnight_in_utc() {
        let of = |period: Period, at: &str| {
            let at = at.parse().unwrap();
            let told = |time: Option<Timestamp>| time.map(|time| time.to_string());
            (told(period.start(at)), told(period.end(at)))
        };
        let days = |from: &str, to: &str| (Some(format!("{from}T00:00:00Z")), Some(format!("{to}T00:00:00Z")));
        assert_eq!(of(Period::Day, "2024-02-29T23:59:59.999999Z"), days("2024-02-29", "2024-03-01"));
        assert_eq!(
            of(Period::Day, "2024-02-29T00:00:00Z"),
            days("2024-02-29", "2024-03-01"),
            "a period contains its start"
        );
        // 2026-11-22 is a Sunday.
        assert_eq!(of(Period::Week, "2026-11-22T12:00:00Z"), days("2026-11-16", "2026-11-23"));
        assert_eq!(of(Period::Week, "2026-11-23T00:00:00Z"), days("2026-11-23", "2026-11-30"));
        assert_eq!(of(Period::Month, "2026-12-31T23:00:00Z"), days("2026-12-01", "2027-01-01"));
        assert_eq!(of(Period::Total, "2026-12-31T23:00:00Z"), (None, None));
    }
}
