//! Steps of time in a query: `step`, `from` and `to`.

use jiff::{SignedDuration, Timestamp};

use super::list_params::time_of;
use super::params::{Params, bad};
use crate::http::problem::Problem;
use domain::steps::Steps;

/// The most steps of one reply.
pub const MAX_STEPS: usize = 500;

/// How many steps there are if the client sends no `from`.
const DEFAULT_STEPS: i32 = 24;

/// The pattern of a length, for the API description. [`length_of`] reads the same.
pub const STEP_PATTERN: &str = "^(([5-9]|[1-9][0-9]{1,2})m|([1-9]|1[0-9]|2[0-4])h|1d)$";

/// The steps of a query with a `step`, up to `now` at most; `None` without one. Without `from`, there are 24 steps.
///
/// # Errors
///
/// 400 for another value, and for too many steps.
pub fn steps_of(params: &Params, now: Timestamp) -> Result<Option<Steps>, Problem> {
    let Some(step) = params.single("step")? else { return Ok(None) };
    let length = length_of(step)?;
    let time = |name| params.single(name)?.map(|value| time_of(name, &[value.to_owned()])).transpose();
    let to = time("to")?.unwrap_or(now).min(now);
    let from = time("from")?.unwrap_or_else(|| to.saturating_sub(length * DEFAULT_STEPS).unwrap_or(Timestamp::MIN));
    let steps = Steps { from, to, length };
    if steps.count() > MAX_STEPS {
        return Err(bad(format!(
            "from `from` to `to` there are {} steps, and a reply has at most {MAX_STEPS}; send a longer `step` or a later `from`",
            steps.count()
        )));
    }
    Ok(Some(steps))
}

/// Parses a number of minutes, hours or days: `5m` to `999m`, `1h` to `24h`, `1d`.
fn length_of(value: &str) -> Result<SignedDuration, Problem> {
    let wrong = || bad("`step` must be a duration from 5m to 1d: 5m to 999m, 1h to 24h, or 1d");
    let digits = value.trim_end_matches(|unit: char| unit.is_ascii_lowercase());
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let number: i64 = digits.parse().ok().filter(|_| is_plain).ok_or_else(wrong)?;
    match (number, value.strip_prefix(digits)) {
        (5..=999, Some("m")) => Ok(SignedDuration::from_mins(number)),
        (1..=24, Some("h")) => Ok(SignedDuration::from_hours(number)),
        (1, Some("d")) => Ok(SignedDuration::from_hours(24)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_steps() {
        for (text, minutes) in [("5m", 5), ("999m", 999), ("1h", 60), ("24h", 1440), ("1d", 1440)] {
            assert_eq!(length_of(text).unwrap(), SignedDuration::from_mins(minutes), "{text}");
        }
        for wrong in ["", "m", "4m", "1000m", "05m", "0h", "25h", "2d", "1w", "60", "60s", "+5m", "-5m", "1.5h", "5 m"]
        {
            assert!(length_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_end_now_and_are_bounded() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let steps = |query| steps_of(&Params::parse(query).unwrap(), now);
        assert_eq!(steps("").unwrap(), None);
        let default = steps("step=1h&to=2099-01-01T00:00:00Z").unwrap().unwrap();
        assert_eq!((default.count(), default.to), (24, now));
        assert_eq!(steps("step=1h&from=2099-01-01T00:00:00Z").unwrap().unwrap().count(), 0);
        assert!(steps("step=5m&from=2020-01-01T00:00:00Z").is_err());
    }
}
