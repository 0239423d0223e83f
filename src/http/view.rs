//! From which revision a read is answered, and when: as it stands, once it has changed, or as it was.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant;

use super::list_params::{VIEW, names, time_of};
use super::params::{Params, bad, revision_of};
use super::problem::{Kind, Problem};
use super::router::Api;
use crate::clock::random_part_of;
use crate::registry::watch::{News, Subscription};
use domain::query::{Concern, Topic};
use domain::{Revision, Snapshot};

/// How long `since` waits when nothing is said.
const WAIT: Duration = Duration::from_secs(30);

/// How long it may be told to wait.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// How long `min_revision` waits when nothing is said.
const CATCH_UP: Duration = Duration::from_secs(5);

/// How many changes are looked at without a pause.
const AT_A_TIME: usize = 64;

/// From which revision to answer, and when.
#[derive(Debug, Default, PartialEq)]
pub struct View {
    since: Option<Revision>,
    wait: Option<Duration>,
    min_revision: Option<Revision>,
    as_of: Option<Moment>,
}

#[derive(Debug, PartialEq)]
enum Moment {
    Revision(Revision),
    Time(Timestamp),
}

/// What a read is answered from.
pub struct Seen {
    /// This snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Whether anything has changed since the revision that was named.
    is_news: bool,
    /// Whether it is what stands, and not what stood.
    is_present: bool,
}

impl Seen {
    /// Returns true if and only if it is what stands, and not what stood.
    pub fn is_present(&self) -> bool {
        self.is_present
    }

    /// The answer that was made of the snapshot, or 304 when it is not news (RFC 9110 section 15.4.5).
    pub fn answer(&self, mut made: Response) -> Response {
        if self.is_news {
            return made;
        }
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        made.headers_mut().remove(CONTENT_TYPE);
        *response.headers_mut() = std::mem::take(made.headers_mut());
        response
    }
}

impl View {
    /// Takes the parameters of a view out of those of a request.
    ///
    /// # Errors
    ///
    /// 400 for a value that is not one, or for parameters that contradict each other.
    pub fn take(params: &mut Params) -> Result<View, Problem> {
        let own = params.split_off(&names(VIEW));
        if own.is_empty() {
            return Ok(View::default());
        }
        let revision = |name| own.single(name)?.map(|value| revision_of(name, value)).transpose();
        let view = View {
            since: revision("since")?,
            wait: own.single("wait")?.map(wait_of).transpose()?,
            min_revision: revision("min_revision")?,
            as_of: own.single("as_of")?.map(moment_of).transpose()?,
        };
        if view.as_of.is_some() && (view.since.is_some() || view.min_revision.is_some()) {
            return Err(bad("`as_of` looks back, and cannot be asked together with `since` or `min_revision`"));
        }
        Ok(view)
    }

    /// Whether it is asked how things stood in the past.
    pub fn looks_back(&self) -> bool {
        self.as_of.is_some()
    }

    /// Whether a request asks to be answered late: it may take as long as its `wait`.
    pub fn waits(method: &Method, query: Option<&str>) -> bool {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let params = query.filter(|_| is_read).and_then(|query| Params::parse(query).ok()).unwrap_or_default();
        params.iter().any(|(name, _)| matches!(name, "since" | "min_revision"))
    }

    /// What to answer from, for a request that has seen `now`. Waits as long as the view says.
    ///
    /// # Errors
    ///
    /// 504 when `min_revision` is not reached in time; 400 or 410 for a moment that is yet to come, or no longer kept.
    pub async fn of(self, api: &Api, now: Arc<Snapshot>, concern: &impl Concern) -> Result<Seen, Problem> {
        if let Some(moment) = self.as_of {
            return Ok(Seen { snapshot: as_of(api, now, moment).await?, is_news: true, is_present: false });
        }
        let mut snapshot = now;
        if let Some(wanted) = self.min_revision.filter(|wanted| *wanted > snapshot.state.revision()) {
            snapshot = caught_up(api, wanted, self.wait.unwrap_or(CATCH_UP)).await?;
        }
        let Some(since) = self.since else { return Ok(Seen { snapshot, is_news: true, is_present: true }) };
        let wait = self.wait.unwrap_or(WAIT);
        // Those who began together do not end together.
        let end = Instant::now() + wait + random_part_of(wait / 16);
        drop(snapshot);
        Ok(changed_after(api, since, end, concern).await)
    }
}

/// Waits until something of concern has changed after `since`, or until `end`, or until the service is stopping.
async fn changed_after(api: &Api, since: Revision, end: Instant, concern: &impl Concern) -> Seen {
    let topics = api.registry.topics();
    // First the narrow topic, from now on; then everything up to now. Nothing falls between the two.
    let mut narrow = topics.follow(&concern.topic());
    let mut position = touched(&topics.follow(&Topic::Everything), since, concern).await;
    while let Some(reached) = position
        && tokio::time::timeout_at(end, narrow.wait()).await == Ok(true)
    {
        position = touched(&narrow, reached, concern).await;
    }
    if let Some(reached) = position {
        // A 304 says up to which revision nothing has changed. What is published is filed a moment later.
        let snapshot = api.registry.snapshot();
        topics.reached(snapshot.state.revision()).await;
        if touched(&narrow, reached, concern).await.is_some() {
            return Seen { snapshot, is_news: false, is_present: true };
        }
    }
    Seen { snapshot: api.registry.snapshot(), is_news: true, is_present: true }
}

/// Looks at what a topic has after `position`. `None` when something of concern has changed, or nobody
/// remembers whether it has; else how far everything was looked at.
async fn touched(topic: &Subscription, mut position: Revision, concern: &impl Concern) -> Option<Revision> {
    loop {
        let News::Changes(changes, reached) = topic.news(position, AT_A_TIME) else { return None };
        if changes.iter().any(|transition| concern.is_touched_by(transition)) {
            return None;
        }
        if changes.len() < AT_A_TIME {
            return Some(reached);
        }
        position = reached;
        // Others are to be served meanwhile.
        tokio::task::yield_now().await;
    }
}

async fn caught_up(api: &Api, wanted: Revision, wait: Duration) -> Result<Arc<Snapshot>, Problem> {
    let reached = tokio::time::timeout(wait, api.registry.topics().reached(wanted)).await;
    let snapshot = api.registry.snapshot();
    drop(reached);
    if snapshot.state.revision() < wanted {
        let detail =
            format!("revision {wanted} was not reached in time; this is revision {}", snapshot.state.revision());
        return Err(Problem::new(Kind::Behind, detail).with_retry_after(CATCH_UP));
    }
    Ok(snapshot)
}

async fn as_of(api: &Api, now: Arc<Snapshot>, moment: Moment) -> Result<Arc<Snapshot>, Problem> {
    let head = now.state.revision();
    let revision = match moment {
        Moment::Revision(revision) => revision,
        Moment::Time(time) if time >= now.state.at() => head,
        Moment::Time(time) => api.registry.revision_at(time).await?,
    };
    match revision.cmp(&head) {
        std::cmp::Ordering::Greater => Err(bad(format!(
            "`as_of` looks back: this is revision {head}, and {revision} is yet to come; `min_revision` waits for it"
        ))),
        std::cmp::Ordering::Equal => Ok(now),
        std::cmp::Ordering::Less => Ok(api.registry.as_of(now, revision).await?),
    }
}

fn moment_of(value: &str) -> Result<Moment, Problem> {
    if let Ok(revision) = revision_of("as_of", value) {
        return Ok(Moment::Revision(revision));
    }
    let wrong = |_| bad("`as_of` must be a revision, or a time such as 2026-11-21T08:30:00Z (RFC 3339)");
    time_of("as_of", &[value.to_owned()]).map(Moment::Time).map_err(wrong)
}

/// A number of milliseconds, seconds or minutes: `500ms`, `30s`, `5m`; without a unit, seconds.
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
    wait.filter(|wait| *wait <= MAX_WAIT).ok_or_else(|| bad("`wait` must be a time such as 30s, of at most 5m"))
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
        let view = |query| View::take(&mut Params::parse(query).unwrap());
        assert_eq!(view("active=true").unwrap(), View::default());
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
