//! The filters of lists: flags for the usual ones, and `KEY=VALUE` for all of them.

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::cli::failure::Usage;

/// The parameters of a request.
pub type Parameters = Vec<(String, String)>;

/// Filters of plugins.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters")]
pub struct PluginFilters {
    /// Filters of the API, such as `provider=aws` or `label.team=speech`; a word without `=` is searched for.
    #[arg(value_name = "FILTER", value_parser = word, add = super::complete::filters())]
    words: Vec<(String, String)>,
    /// Plugins that hold something now; with `=false`, the others.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    active: Option<bool>,
    /// Plugins of this category.
    #[arg(long)]
    category: Vec<String>,
    /// Plugins on this host.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Plugins with this label.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, add = super::complete::labels())]
    label: Vec<(String, String)>,
    /// Plugins with this finding: orphan, ghost, reused, unverified or overdue.
    #[arg(long, add = super::complete::findings())]
    finding: Vec<String>,
}

impl PluginFilters {
    /// The parameters of the request.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = self.words.clone();
        parameters.extend(self.active.map(|active| ("active".to_owned(), active.to_string())));
        for (name, values) in [("category", &self.category), ("host", &self.host), ("finding", &self.finding)] {
            parameters.extend(values.iter().map(|value| (name.to_owned(), value.clone())));
        }
        parameters.extend(self.label.iter().map(|(key, value)| (format!("label.{key}"), value.clone())));
        parameters
    }

    /// The filters as a document: for budgets and webhooks.
    pub fn document(&self) -> serde_json::Value {
        let mut document = serde_json::Map::new();
        for (key, value) in self.parameters() {
            let value = serde_json::Value::String(value);
            match document.get_mut(&key) {
                None => drop(document.insert(key, value)),
                Some(serde_json::Value::Array(values)) => values.push(value),
                Some(first) => *first = serde_json::json!([first.take(), value]),
            }
        }
        serde_json::Value::Object(document)
    }
}

/// `KEY=VALUE`, or a word to search for.
///
/// # Errors
///
/// If there is nothing before the `=`.
pub fn word(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("a filter is KEY=VALUE".into()),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Ok(("q".to_owned(), text.to_owned())),
    }
}

/// `KEY=VALUE`.
///
/// # Errors
///
/// If there is no `=`, or nothing before it.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".into()),
    }
}

/// `KIND:ID` of a resource.
///
/// # Errors
///
/// If the kind is none.
pub fn resource(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').or_else(|| text.split_once('/'));
    let (kind, id) = parts.ok_or("must be KIND:ID, such as process:4711")?;
    let kind = match kind {
        "process" | "pid" => "process",
        "container" => "container",
        "remote" => "remote",
        _ => return Err(format!("`{kind}` is no kind: process, container or remote")),
    };
    if id.is_empty() {
        Err("must be KIND:ID, such as process:4711".into())
    } else {
        Ok((kind.to_owned(), id.to_owned()))
    }
}

/// A moment: RFC 3339, how long ago (`2h`, `7d`), or the beginning of the present `day`, `week`, `month` or `year` (UTC).
///
/// # Errors
///
/// If it is none of these.
pub fn past(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let begin = match text {
        "day" | "today" => Some(today),
        "week" => {
            let days = i64::from(today.weekday().to_monday_zero_offset());
            Some(today.saturating_sub(jiff::Span::new().days(days)))
        }
        "month" => Some(today.first_of_month()),
        "year" => Some(today.first_of_year()),
        _ => None,
    };
    if let Some(begin) = begin {
        return Ok(begin.to_datetime(Time::midnight()).to_zoned(TimeZone::UTC)?.timestamp());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let ago = length(text)?;
    Ok(now.checked_sub(ago)?)
}

/// A moment to come: RFC 3339, or how long from now.
///
/// # Errors
///
/// If it is neither.
pub fn future(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    match text.parse::<Timestamp>() {
        Ok(at) => Ok(at),
        Err(_) => Ok(now.checked_add(length(text)?)?),
    }
}

/// A length of time: `30s`, `5m`, `2h`, `7d`, or a number of seconds.
///
/// # Errors
///
/// If it is none.
pub fn length(text: &str) -> anyhow::Result<jiff::SignedDuration> {
    let wrong = || Usage(format!("`{text}` is no time: write 30m, 2h, 7d, or RFC 3339 such as 2027-01-31T00:00:00Z"));
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(jiff::SignedDuration::from_secs(i64::from(seconds)));
    }
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    // A day is 24 hours here, as everywhere in the API.
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if length.is_negative() { Err(wrong().into()) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2h", "2026-11-18T08:00:00Z")]
    #[case("90", "2026-11-18T09:58:30Z")]
    #[case("7d", "2026-11-11T10:00:00Z")]
    #[case("day", "2026-11-18T00:00:00Z")]
    #[case("week", "2026-11-16T00:00:00Z")]
    #[case("month", "2026-11-01T00:00:00Z")]
    #[case("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]
    fn the_past_is_told_in_the_ways_of_people(#[case] text: &str, #[case] moment: &str) {
        let now = "2026-11-18T10:00:00Z".parse().unwrap();
        assert_eq!(past(text, now).unwrap().to_string(), moment);
    }

    #[rstest]
    #[case("soon")]
    #[case("-2h")]
    #[case("")]
    fn a_mistake_is_no_time(#[case] text: &str) {
        assert!(past(text, Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_word_is_searched_for() {
        assert_eq!(word("whisper"), Ok(("q".into(), "whisper".into())));
        assert_eq!(word("label.team=a=b"), Ok(("label.team".into(), "a=b".into())));
        assert!(word("=a").is_err());
    }
}
