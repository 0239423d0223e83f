//! Money in whole millionths of a USD, and the rate of spending.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

/// Millionths in one unit.
const MILLION: i128 = 1_000_000;

/// An hour in microseconds, the unit of timestamps.
const HOUR: i128 = 3_600 * MILLION;

/// An amount of money, in millionths of a USD. JSON and the store have it as an exact number of USD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(pub i128);

impl MicroUsd {
    /// The amount nearest to a number of USD between -10^12 and 10^12.
    pub fn nearest(usd: f64) -> MicroUsd {
        #[expect(clippy::cast_possible_truncation, reason = "the caller has bounded it far below 2^127")]
        MicroUsd((usd * 1e6).round() as i128)
    }
}

impl MicroUsd {
    /// The amount for an hour if this was spent from one time to another; nothing for no time.
    #[must_use]
    pub fn per_hour(self, from: Timestamp, to: Timestamp) -> MicroUsd {
        let micros = i128::from(to.as_microsecond()) - i128::from(from.as_microsecond());
        if micros <= 0 { MicroUsd::default() } else { MicroUsd(self.0 * HOUR / micros) }
    }
}

impl MicroUsd {
    /// When this much is spent from `now` on, if an hour costs `hourly`; `None` if that is never, or already.
    pub fn reached_at(self, hourly: MicroUsd, now: Timestamp) -> Option<Timestamp> {
        if self.0 <= 0 || hourly.0 <= 0 {
            return None;
        }
        // Rounded up: at the time, the amount is spent.
        let micros = (self.0 * HOUR + hourly.0 - 1) / hourly.0;
        let at = i64::try_from(micros).ok()?.checked_add(now.as_microsecond())?;
        Timestamp::from_microsecond(at).ok()
    }
}

impl fmt::Display for MicroUsd {
    /// The amount in USD, with as many decimal places as needed: `24.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:06}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// The error for a text that is not an amount of money.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an amount of USD with at most 6 decimal places")]
pub struct NoMoney;

impl FromStr for MicroUsd {
    type Err = NoMoney;

    fn from_str(text: &str) -> Result<MicroUsd, NoMoney> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
        let number = |digits: &str| {
            let only_digits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse::<i128>().ok().filter(|_| only_digits).ok_or(NoMoney)
        };
        if rest.is_empty() || rest.len() > 6 {
            return Err(NoMoney);
        }
        let micros = number(whole)?.checked_mul(MILLION).ok_or(NoMoney)?;
        Ok(MicroUsd(sign * (micros + number(&format!("{rest:0<6}"))?)))
    }
}

impl Serialize for MicroUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: Number = self.to_string().parse().map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MicroUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MicroUsd, D::Error> {
        let number = Number::deserialize(deserializer)?;
        number.as_str().parse().map_err(serde::de::Error::custom)
    }
}

impl Add for MicroUsd {
    type Output = MicroUsd;

    fn add(self, other: MicroUsd) -> MicroUsd {
        MicroUsd(self.0 + other.0)
    }
}

impl Sub for MicroUsd {
    type Output = MicroUsd;

    fn sub(self, other: MicroUsd) -> MicroUsd {
        MicroUsd(self.0 - other.0)
    }
}

impl AddAssign for MicroUsd {
    fn add_assign(&mut self, other: MicroUsd) {
        self.0 += other.0;
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = MicroUsd>>(amounts: I) -> MicroUsd {
        amounts.fold(MicroUsd::default(), Add::add)
    }
}

/// A rate of spending, in millionths of a USD an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(MicroUsd);

impl Rate {
    /// The rate nearest to a declared price, in USD an hour: see [`crate::plugin::remote::MAX_COST_PER_HOUR`].
    pub fn of(usd_per_hour: f64) -> Rate {
        Rate(MicroUsd::nearest(usd_per_hour))
    }

    /// The amount for one hour.
    pub fn hourly(self) -> MicroUsd {
        self.0
    }

    /// The amount for a number of millionths of an hour, rounded down.
    pub fn in_hours(self, millionths: i128) -> MicroUsd {
        MicroUsd((self.0.0 * millionths).div_euclid(MILLION))
    }

    /// The amount from one time to another; nothing if `to` is before `from`.
    ///
    /// It is the difference of two readings of a meter in whole millionths. So the amount from a to b plus the amount
    /// from b to c is exactly the amount from a to c, wherever b lies. The error is less than a millionth.
    pub fn between(self, from: Timestamp, to: Timestamp) -> MicroUsd {
        if to <= from { MicroUsd::default() } else { self.reading(to) - self.reading(from) }
    }

    fn reading(self, at: Timestamp) -> MicroUsd {
        // At most 10^15 an hour, and 4 * 10^17 microseconds from the minimum or maximum time to 1970: far below 2^127.
        MicroUsd((self.0.0 * i128::from(at.as_microsecond())).div_euclid(HOUR))
    }
}

/// A range for an amount that is not known exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spend {
    /// At the least.
    pub low: MicroUsd,
    /// At the most.
    pub high: MicroUsd,
}

impl Spend {
    /// An exact amount.
    pub fn exactly(amount: MicroUsd) -> Spend {
        Spend { low: amount, high: amount }
    }

    /// Returns true if and only if certainly nothing was spent.
    pub fn is_nothing(self) -> bool {
        self == Spend::default()
    }

    /// The rest of this after removing `other`, which is a part of it.
    #[must_use]
    pub fn without(self, other: Spend) -> Spend {
        let nothing = MicroUsd::default();
        let high = (self.high - other.high).max(nothing);
        Spend { low: (self.low - other.low).clamp(nothing, high), high }
    }

    /// The range from zero to this upper bound.
    #[must_use]
    pub fn at_most(self) -> Spend {
        Spend { low: MicroUsd::default(), ..self }
    }
}

impl AddAssign for Spend {
    fn add_assign(&mut self, other: Spend) {
        self.low += other.low;
        self.high += other.high;
    }
}

impl Add for Spend {
    type Output = Spend;

    fn add(mut self, other: Spend) -> Spend {
        self += other;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn money_is_written_as_a_number_of_usd_and_read_back() {
        for (micros, text) in [
            (0, "0"),
            (1, "0.000001"),
            (24_500_000, "24.5"),
            (100_000_000, "100"),
            (-1_200_000, "-1.2"),
            (10, "0.00001"),
        ] {
            assert_eq!(MicroUsd(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(MicroUsd(micros)));
            assert_eq!(serde_json::to_string(&MicroUsd(micros)).unwrap(), text);
            assert_eq!(serde_json::from_str::<MicroUsd>(text).unwrap(), MicroUsd(micros));
        }
        for wrong in ["", "-", "1.", ".5", "+1", "1e3", "0.0000001", "--1", "1.-5", "x"] {
            assert_eq!(wrong.parse::<MicroUsd>(), Err(NoMoney), "{wrong}");
        }
        assert_eq!(Rate::of(0.1 + 0.2).hourly(), MicroUsd(300_000), "as people mean it");
    }

    proptest! {
        #[test]
        fn any_amount_is_read_back(micros in any::<i64>()) {
            let money = MicroUsd(micros.into());
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }

        /// For any rate: splitting a time neither loses an amount nor counts it twice.
        #[test]
        fn a_time_that_is_cut_anywhere_costs_what_the_whole_costs(
            rate in 0_u64..=1_000_000_000_000_000, from in 0_i64..4_000_000_000_000_000,
            first in 0_i64..100_000_000_000_000, second in 0_i64..100_000_000_000_000,
        ) {
            let rate = Rate(MicroUsd(rate.into()));
            let at = |micros| Timestamp::from_microsecond(micros).unwrap();
            let (a, b, c) = (at(from), at(from + first), at(from + first + second));
            prop_assert_eq!(rate.between(a, b) + rate.between(b, c), rate.between(a, c));
            let exact = rate.hourly().0 * i128::from(first + second);
            prop_assert!((rate.between(a, c).0 * HOUR - exact).abs() < HOUR, "off by less than a millionth");
            prop_assert_eq!(rate.between(c, a), MicroUsd(0));
        }
    }
}
