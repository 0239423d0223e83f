//! `/events/counts`: how many changes there were, in steps of time.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::cost_answers::{CostAnswer, CostQuestion};
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::headers::revision_header;
use crate::http::problem::Problem;
use crate::http::query::list_params::{EVENT_COUNTS, all, names};
use crate::http::query::params::{Params, bad};
use crate::http::query::step_params::steps_of;
use crate::http::reply::json;
use crate::http::state::{Api, Shared};
use crate::registry::fair_pool::WorkCaller;
use crate::store::ChangeCounts;
use domain::Revision;
use domain::change::ChangeKind;
use domain::change::history::ChangeRange;
use domain::steps::Steps;

/// The step if the client sends none.
const DEFAULT_STEP: &str = "1h";

/// How many changes there were.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventCounts {
    /// The steps, the oldest first; also those without changes.
    items: Vec<EventCount>,
    /// Whether the journal still has all changes since the first step. If not, earlier steps have too few.
    is_whole: bool,
    /// The revision up to which changes were counted.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// The changes of one step.
#[derive(Serialize, ToSchema)]
#[schema(as = EventCount)]
pub(crate) struct EventCount {
    /// When the step begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// When it ends. The last step may be shorter than the others.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The number of changes.
    total: u64,
    /// The numbers by kind; only kinds with changes.
    #[schema(value_type = BTreeMap<String, u64>)]
    by_kind: BTreeMap<&'static str, u64>,
}

/// Count changes in steps of time.
///
/// For charts: how many changes of each kind there were in each step. A reply has at most 500 steps.
#[utoipa::path(get, path = "/events/counts", tag = "events", responses(
    (status = OK, description = "The numbers", body = EventCounts),
    (status = SERVICE_UNAVAILABLE, description = "The registry cannot read the journal now"),
))]
pub(crate) async fn count_events(
    now: Now,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&names(EVENT_COUNTS))?;
    let began = api.registry.now();
    let is_open = params.single("step")?.is_none();
    let params = if is_open { params.with("step", DEFAULT_STEP) } else { params };
    let steps = steps_of(&params, began)?.ok_or_else(|| bad("`step` is missing"))?;
    let mut range = ChangeRange { from: Some(steps.from), to: Some(steps.to), ..ChangeRange::default() };
    if let Some((name, values)) = params.iter().find(|(name, _)| *name == "kind") {
        range.kinds = all(name, values, ChangeKind::NAMES, ChangeKind::from_name)?;
    }
    if let Some(plugin) = params.single("plugin")? {
        (range.subject, range.of_categories) = (Some(plugin.to_owned()), Some(false));
    }
    let revision = now.state.revision();
    range.until = Some(revision);
    let question = CostQuestion::new(&params, "events/counts", &now.store, revision);
    let answer = api.costs.answer(question, began, counted(&api, caller, range, steps, revision)).await?;
    let mut response = json::json_bytes(answer.text);
    let (name, value) = revision_header(answer.revision);
    response.headers_mut().insert(name, value);
    Ok(response)
}

async fn counted(
    api: &Api,
    caller: WorkCaller,
    range: ChangeRange,
    steps: Steps,
    revision: Revision,
) -> Result<CostAnswer, Problem> {
    let began = api.registry.now();
    let (counts, is_whole) = api.registry.counts(caller, range, steps).await?;
    let text = json::text_of(&EventCounts { items: items(steps, &counts), is_whole, revision });
    Ok(CostAnswer::present(text, revision, began, api.registry.now()))
}

fn items(steps: Steps, ChangeCounts { counts, .. }: &ChangeCounts) -> Vec<EventCount> {
    let empty = |index| {
        let (from, to) = steps.span(index);
        EventCount { from, to, total: 0, by_kind: BTreeMap::new() }
    };
    let mut items: Vec<EventCount> = (0..steps.count()).map(empty).collect();
    for ((index, kind), count) in counts {
        if let Some(item) = items.get_mut(*index) {
            item.total += count;
            item.by_kind.insert(kind.as_str(), *count);
        }
    }
    items
}
