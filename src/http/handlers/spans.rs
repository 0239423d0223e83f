//! `/resources/spans`: what was held when, as claimed and as seen.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::cost_answers::{CostAnswer, CostQuestion};
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::headers::revision_header;
use crate::http::problem::Problem;
use crate::http::query::list_params::{DEFAULT_LIMIT, SPANS, limit_of, named, names, time_of};
use crate::http::query::params::{Params, bad};
use crate::http::reply::json;
use crate::http::state::{Api, Shared};
use crate::registry::fair_pool::WorkCaller;
use crate::registry::spans::HeldSpans;
use domain::host::HostNames;
use domain::plugin::UniqueId;
use domain::query::spans::{Lane, Span, SpanQuery, Track};
use domain::record::{ClaimState, FindingKind, ObservedState, ResourceKind, Slot};
use domain::{Revision, Snapshot};

/// The length of the time if the client sends no `from`.
const DEFAULT_TIME: SignedDuration = SignedDuration::from_hours(24);

/// What was held when.
#[derive(Serialize, ToSchema)]
#[schema(as = ResourceSpans)]
pub(crate) struct SpansPage {
    /// The resources that were held at some time, by plugin.
    items: Vec<LaneRow>,
    /// When the time begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Whether resources are left out because of `limit`.
    is_cut: bool,
    /// Whether the journal still has all changes since `from`. If not, what was held earlier begins with what it still has.
    is_whole: bool,
    /// Whether the time has more changes than one reply reads (100,000). The spans then end with the last one read.
    is_short: bool,
    /// The revision that the reply was made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// A resource over time.
#[derive(Serialize, ToSchema)]
#[schema(as = ResourceLane)]
pub(crate) struct LaneRow {
    /// The unique_id of its plugin.
    #[schema(value_type = String)]
    plugin: UniqueId,
    /// The kind of resource.
    kind: ResourceKind,
    /// The resource's id, as in `GET /resources`.
    #[schema(value_type = String)]
    id: Box<str>,
    /// Its host, as last known; null if it is unknown, and for remote resources.
    #[schema(value_type = Option<String>, required)]
    host: Option<Box<str>>,
    /// When its plugin claimed it, and when it had left it behind.
    claims: Vec<ClaimSpan>,
    /// The observed states.
    seen: Vec<SeenSpan>,
    /// The findings, also the acknowledged ones.
    findings: Vec<FindingSpan>,
}

/// A time for which a claim had a state.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClaimSpan {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Until when; null if it still was so at the end.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    to: Option<Timestamp>,
    /// Whether its plugin named it.
    claim: ClaimState,
}

/// A time for which a resource was observed in a state.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeenSpan {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Until when; null if it still was so at the end.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    to: Option<Timestamp>,
    /// The observed state.
    state: ObservedState,
}

/// A time for which there was a finding about a resource.
#[derive(Serialize, ToSchema)]
pub(crate) struct FindingSpan {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Until when; null if it still was so at the end.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    to: Option<Timestamp>,
    /// The finding.
    finding: FindingKind,
}

/// List what was held when.
///
/// For charts with a lane for each resource: when its plugin claimed it, what probes saw, and which findings there were.
/// Times are those of the changes.
#[utoipa::path(get, path = "/resources/spans", tag = "resources", responses(
    (status = OK, description = "The resources with their spans", body = SpansPage),
    (status = SERVICE_UNAVAILABLE, description = "The registry cannot read the journal now"),
))]
pub(crate) async fn list_spans(
    now: Now,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&names(SPANS))?;
    let began = api.registry.now();
    let mut query = span_query(&params, began)?;
    query.host = query.host.map(|names| names.with_names_of(api.registry.own_host()));
    let question = CostQuestion::new(&params, "resources/spans", &now.store, now.state.revision());
    let answer = api.costs.answer(question, began, found(&api, caller, Arc::clone(&now), query)).await?;
    let mut response = json::json_bytes(answer.text);
    let (name, value) = revision_header(answer.revision);
    response.headers_mut().insert(name, value);
    Ok(response)
}

fn span_query(params: &Params, now: Timestamp) -> Result<SpanQuery, Problem> {
    let time = |name| params.single(name)?.map(|value| time_of(name, &[value.to_owned()])).transpose();
    let to = time("to")?.unwrap_or(now).min(now);
    let from = time("from")?.unwrap_or_else(|| to.saturating_sub(DEFAULT_TIME).unwrap_or(Timestamp::MIN));
    if from > to {
        return Err(bad("`from` must not be later than `to`, nor in the future"));
    }
    let kind = |name: &str| named("kind", name, ResourceKind::NAMES, ResourceKind::from_name);
    Ok(SpanQuery {
        from,
        to,
        plugin: params.single("plugin")?.map(UniqueId::from_client),
        kind: params.single("kind")?.map(kind).transpose()?,
        host: params.single("host")?.map(|host| HostNames::of([host])),
        limit: params.single("limit")?.map(limit_of).transpose()?.unwrap_or(DEFAULT_LIMIT),
    })
}

async fn found(
    api: &Api,
    caller: WorkCaller,
    snapshot: Arc<Snapshot>,
    query: SpanQuery,
) -> Result<CostAnswer, Problem> {
    let (began, revision) = (api.registry.now(), snapshot.state.revision());
    let (from, to) = (query.from, query.to);
    let HeldSpans { lanes, is_cut, is_whole, is_short } = api.registry.held_spans(caller, snapshot, query).await?;
    let items = lanes.into_iter().map(|((plugin, slot), lane)| LaneRow::of(plugin, slot, lane)).collect();
    let text = json::text_of(&SpansPage { items, from, to, is_cut, is_whole, is_short, revision });
    Ok(CostAnswer::present(text, revision, began, api.registry.now()))
}

impl LaneRow {
    fn of(plugin: UniqueId, slot: Slot, lane: Lane) -> LaneRow {
        fn rows<T: Copy + PartialEq, R>(track: &Track<T>, row: impl Fn(Span<T>) -> R) -> Vec<R> {
            track.spans().iter().copied().map(row).collect()
        }
        LaneRow {
            plugin,
            kind: slot.kind,
            id: slot.id,
            host: lane.host,
            claims: rows(&lane.claims, |Span { from, to, value }| ClaimSpan { from, to, claim: value }),
            seen: rows(&lane.seen, |Span { from, to, value }| SeenSpan { from, to, state: value }),
            findings: rows(&lane.findings, |Span { from, to, value }| FindingSpan { from, to, finding: value }),
        }
    }
}
