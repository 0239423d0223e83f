//! `/observations`: reports of agents about resources.

use axum::extract::State;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::leases::text;
use crate::http::extract::body::JsonBody;
use crate::http::extract::principal::RequestCaller;
use crate::http::headers::revision_header;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use domain::plugin::read::{ObjectReader, kind_of, nullable, one_of, string, time};
use domain::plugin::{FreeJson, Invalid, UniqueId, container_id};
use domain::record::observation::shortened;
use domain::record::{ObservedState, ReportedObservation, ResourceKey, ResourceKind};

/// The most observations in a report.
pub(crate) const MAX_OBSERVATIONS: usize = 10_000;

/// The longest detail of an observation, in characters. The registry keeps the beginning: see [`shortened`].
pub(crate) const MAX_DETAIL: usize = 1024;

/// The longest id of a resource, in characters.
pub(crate) const MAX_ID: usize = 4096;

/// The largest identity, and the largest parent, in bytes. Those of the registry's own probes have at most 200.
pub(crate) const MAX_IDENTITY: usize = 512;

/// The fields of a report.
pub(crate) const REPORT_FIELDS: &[&str] = &["by", "host", "at", "observations"];

/// The fields of an observation.
pub(crate) const OBSERVATION_FIELDS: &[&str] =
    &["kind", "plugin", "id", "state", "detail", "identity", "parent", "abandoned", "at"];

/// The result of a report.
#[derive(Serialize, ToSchema)]
pub(crate) struct ObservationResult {
    /// How many observations the registry accepted.
    accepted: usize,
    /// The observations that the registry skipped.
    ignored: Vec<IgnoredObservation>,
}

/// An observation that the registry skipped.
#[derive(Serialize, ToSchema)]
struct IgnoredObservation {
    /// The position in the report, from 0.
    index: usize,
    /// Why the registry skipped the observation.
    detail: String,
}

/// A parsed report.
pub(crate) struct Report {
    by: Box<str>,
    host: Option<Box<str>>,
    sightings: Vec<ReportedObservation>,
}

/// Report observations of resources.
///
/// An unchanged resource costs no revision. The registry skips an observation if the plugin no longer holds the
/// resource, if another host holds it, or if it is older than the last one. The reply lists skipped observations in
/// `ignored`.
#[utoipa::path(post, path = "/observations", tag = "resources", responses(
    (status = OK, description = "The result of the report", body = ObservationResult),
    (status = CONFLICT, description = "Another agent reports for this host"),
))]
pub(crate) async fn report_observations(
    State(api): State<Shared>,
    RequestCaller(asker): RequestCaller,
    params: Params,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let Report { by, host, sightings } = read(body, api.registry.clock().now())?;
    let seen = api.registry.observe_for(&asker, &by, host.as_deref(), sightings).await?;
    let ignored = seen.ignored.into_iter().map(|(index, detail)| IgnoredObservation { index, detail }).collect();
    let mut response = json::json(&ObservationResult { accepted: seen.accepted, ignored });
    if let Some(revision) = seen.revision {
        let (name, value) = revision_header(revision);
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Reads a report that has arrived at `now`.
pub(crate) fn read(body: Value, now: Timestamp) -> Result<Report, Invalid> {
    let mut fields = ObjectReader::new(body, "", REPORT_FIELDS, &[])?;
    let by = fields.required("by", text);
    let host = fields.optional("host", nullable(text)).flatten();
    let at = fields.optional("at", time);
    // A wrong clock still measures correctly how long ago an observation was made.
    let skew = at.map_or(SignedDuration::ZERO, |at| now.duration_since(at));
    let sightings =
        fields.required("observations", |value, pointer| sightings(value, pointer, at.unwrap_or(now), skew));
    fields.finish()?;
    // `finish` has refused a document without these fields.
    let (Some(by), Some(sightings)) = (by, sightings) else {
        return Err(Invalid::at("", "by and observations are required"));
    };
    Ok(Report { by, host, sightings })
}

fn sightings(
    value: Value,
    pointer: &str,
    at: Timestamp,
    skew: SignedDuration,
) -> Result<Vec<ReportedObservation>, Invalid> {
    let Value::Array(items) = value else {
        return Err(Invalid::at(pointer, format!("must be an array of observations, not {}", kind_of(&value))));
    };
    if items.len() > MAX_OBSERVATIONS {
        return Err(Invalid::at(pointer, format!("must be at most {MAX_OBSERVATIONS} observations")));
    }
    let mut sightings = Vec::with_capacity(items.len());
    let mut errors = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match sighting(item, &format!("{pointer}/{index}"), at, skew) {
            Ok(sighting) => sightings.push(sighting),
            Err(Invalid(wrong)) => errors.extend(wrong),
        }
    }
    if errors.is_empty() { Ok(sightings) } else { Err(Invalid(errors)) }
}

/// Reads one observation; `at` is when it was, unless it says so itself.
pub(crate) fn sighting(
    value: Value,
    pointer: &str,
    at: Timestamp,
    skew: SignedDuration,
) -> Result<ReportedObservation, Invalid> {
    let mut fields = ObjectReader::new(value, pointer, OBSERVATION_FIELDS, &[])?;
    let kind = fields.required("kind", one_of(ResourceKind::NAMES, ResourceKind::from_name));
    let plugin = fields.required("plugin", string);
    let id = fields.required("id", |value, at| bounded(value, at, MAX_ID));
    let state = fields.required("state", one_of(ObservedState::NAMES, ObservedState::from_name));
    let detail =
        fields.optional("detail", nullable(|value, at| bounded(value, at, MAX_DETAIL))).flatten().map(shortened);
    let mut object = |field| fields.optional(field, nullable(|value, at| small_object(&value, at))).flatten();
    let (identity, parent) = (object("identity"), object("parent"));
    let abandoned =
        fields.optional("abandoned", nullable(|value, at| bounded(value, at, MAX_DETAIL))).flatten().map(shortened);
    let at = fields.optional("at", time).unwrap_or(at);
    fields.finish()?;
    // `finish` has refused a document without these fields.
    let (Some(kind), Some(plugin), Some(id), Some(state)) = (kind, plugin, id, state) else {
        return Err(Invalid::at(pointer, "kind, plugin, id and state are required"));
    };
    let id = if kind == ResourceKind::Container { container_id::normal(&id).into() } else { id };
    let key = ResourceKey { plugin: UniqueId::from_client(&plugin), kind, id, host: None };
    // An overflow means that the time is useless, so the observation counts as older than all others.
    let at = at.checked_add(skew).unwrap_or(Timestamp::MIN);
    Ok(ReportedObservation { key, state, at: whole_micros(at), detail, identity, parent, abandoned })
}

/// The store keeps microseconds.
fn whole_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(Timestamp::MIN)
}

fn bounded(value: Value, pointer: &str, most: usize) -> Result<Box<str>, Invalid> {
    let text = string(value, pointer)?;
    if text.chars().nth(most).is_some() {
        return Err(Invalid::at(pointer, format!("must be at most {most} characters long")));
    }
    Ok(text.into())
}

fn small_object(value: &Value, pointer: &str) -> Result<FreeJson, Invalid> {
    if !value.is_object() {
        return Err(Invalid::at(pointer, format!("must be an object or null, not {}", kind_of(value))));
    }
    let object = FreeJson::from(value);
    if object.as_str().len() > MAX_IDENTITY {
        return Err(Invalid::at(pointer, format!("must not be larger than {MAX_IDENTITY} bytes")));
    }
    Ok(object)
}
