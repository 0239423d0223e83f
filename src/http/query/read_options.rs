//! From which revision a read is answered, and when: from the current state, after a change, or from the past.

use std::time::Duration;

use jiff::Timestamp;

use super::list_params::{READ_OPTIONS, names, time_of};
use super::params::{Params, bad, revision_of};
use crate::http::problem::Problem;
use domain::Revision;

/// The longest `wait`.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// The revision that a read is answered from, and the time to wait.
#[derive(Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// Answer once the result has changed since this revision.
    pub since: Option<Revision>,
    /// How long to wait for the change.
    pub wait: Option<Duration>,
    /// Answer from this revision or a later one.
    pub min_revision: Option<Revision>,
    /// Answer from the state at this moment.
    pub as_of: Option<Moment>,
}

/// A moment of the past.
#[derive(Debug, PartialEq)]
pub enum Moment {
    /// The state at this revision.
    Revision(Revision),
    /// The state at this time.
    Time(Timestamp),
}

impl ReadOptions {
    /// Splits the read options off the parameters of a request.
    ///
    /// # Errors
    ///
    /// 400 for an invalid value, or for options that exclude each other.
    pub fn take(params: &mut Params) -> Result<ReadOptions, Problem> {
        let own = params.split_off(&names(READ_OPTIONS));
        if own.is_empty() {
            return Ok(ReadOptions::default());
        }
        let revision = |name| own.single(name)?.map(|value| revision_of(name, value)).transpose();
        let view = ReadOptions {
            since: revision("since")?,
            wait: own.single("wait")?.map(wait_of).transpose()?,
            min_revision: revision("min_revision")?,
            as_of: own.single("as_of")?.map(moment_of).transpose()?,
        };
        if view.as_of.is_some() && (view.since.is_some() || view.min_revision.is_some()) {
            return Err(bad("`as_of` reads the past and excludes `since` and `min_revision`; send only one of them"));
        }
        Ok(view)
    }

    /// Whether the client requests a past state.
    pub fn looks_back(&self) -> bool {
        self.as_of.is_some()
    }

    /// Whether the query requests a late reply. Such a request may take as long as its `wait`.
    pub fn waits(query: Option<&str>) -> bool {
        let params = query.and_then(|query| Params::parse(query).ok()).unwrap_or_default();
        params.iter().any(|(name, _)| matches!(name, "since" | "min_revision"))
    }
}

fn moment_of(value: &str) -> Result<Moment, Problem> {
    if let Ok(revision) = revision_of("as_of", value) {
        return Ok(Moment::Revision(revision));
    }
    let wrong = |_| bad("`as_of` must be a revision, or a time such as 2026-11-21T08:30:00Z (RFC 3339)");
    time_of("as_of", &[value.to_owned()]).map(Moment::Time).map_err(wrong)
}

/// Parses a number of milliseconds, seconds or minutes: `500ms`, `30s`, `5m`; a number without a unit is in seconds.
fn wait_of(value: &str) -> Result<Duration, Problem> {
    let digits = value.trim_end_matches(|unit: char| unit.is_ascii_lowercase());
    let number = digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let unit = value.strip_prefix(digits).unwrap_or_default();
    let wait = match (number, unit) {
        (Some(number), "ms") => Some(Duration::from_millis(number.into())),
        (Some(number), "" | "s") => Some(Duration::from_secs(number.into())),
        (Some(number), "m") => Some(Duration::from_secs(u64::from(number) * 60)),
        _ => None,
    };
    wait.filter(|wait| *wait <= MAX_WAIT).ok_or_else(|| bad("`wait` must be a duration such as 30s, and at most 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_wait() {
        for (text, millis) in [("0", 0), ("30s", 30_000), ("7", 7_000), ("1500ms", 1_500), ("5m", 300_000)] {
            assert_eq!(wait_of(text).unwrap().as_millis(), millis, "{text}");
        }
        for wrong in ["", "s", "-1", "+1", "1h", "6m", "301s", "1.5s", "99999999999s", "30 s"] {
            assert!(wait_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn views_that_contradict_themselves_are_refused() {
        let view = |query| ReadOptions::take(&mut Params::parse(query).unwrap());
        assert_eq!(view("active=true").unwrap(), ReadOptions::default());
        assert!(view("since=1&wait=5s&min_revision=2").is_ok());
        for wrong in [
            "as_of=1&since=1",
            "as_of=1&min_revision=1",
            "since=x",
            "since=9223372036854775808",
            "as_of=yesterday",
            "since=-1",
        ] {
            assert!(view(wrong).is_err(), "{wrong}");
        }
    }
}
