//! `/costs`: current, estimated and past costs of plugins, by their declared prices.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, VARY};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::cost_tables::{self, CostForm};
use crate::http::cost_answers::{CostAnswer, CostQuestion};
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::headers::revision_header;
use crate::http::problem::Problem;
use crate::http::query::list_params::{COST_LIST, PLUGIN_FILTERS, filter, time_of};
use crate::http::query::parameter::MAX_HOURS;
use crate::http::query::params::{Params, bad};
use crate::http::query::read_options::ReadOptions;
use crate::http::query::step_params::steps_of;
use crate::http::reply::{csv, json};
use crate::http::state::{Api, Shared};
use crate::registry::fair_pool::{Turn, WorkCaller};
use domain::cost::{GroupBy, Statement, StatementLine};
use domain::query::CostQuery;
use domain::query::cost::CostPeriod;
use domain::query::interest::CountsInterest;
use domain::steps::Steps;
use domain::{MicroUsd, Revision, Snapshot, Spend};

/// The most amounts of the series of all groups.
const MAX_AMOUNTS: usize = 50_000;

/// The note in every reply.
const NOTE: &str =
    "an estimate from the declared prices (estimated_cost_per_hour) and the claimed status; no provider was asked";

/// The costs of plugins.
#[derive(Serialize, ToSchema)]
pub(crate) struct Costs<'a> {
    /// How the amounts were computed: an estimate from declared prices.
    note: &'a str,
    /// When the amounts were computed.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The current cost of an hour for all billable resources, in USD. A resource that may bill counts with its whole price.
    #[schema(value_type = f64)]
    burn_usd_per_hour: MicroUsd,
    /// How many remote resources a provider may bill, also those that were left behind.
    billable: usize,
    /// How many of these have no price; they count as free.
    unpriced: usize,
    /// The estimate for `hours`; null without `hours`.
    #[schema(required)]
    estimate: Option<Estimate>,
    /// The costs so far; null with `as_of`.
    #[schema(required)]
    accrued: Option<Accrued>,
    /// The same amounts for each group, sorted by group; empty without `group_by`.
    groups: Vec<CostGroup>,
    /// The costs of each step, the oldest first; empty without `step`. Steps that began when the journal no longer has all
    /// changes are left out: their costs are known as a sum only.
    series: Vec<CostStep>,
    /// The revision that the reply was made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// The estimated cost of a number of hours.
#[derive(Serialize, ToSchema)]
pub(crate) struct Estimate {
    /// The number of hours.
    #[schema(value_type = f64)]
    hours: MicroUsd,
    /// The cost of these hours for all plugins with the status `running`.
    #[schema(value_type = f64)]
    usd: MicroUsd,
}

/// The lower and upper bound of the costs in a period.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accrued {
    /// When the period begins; null for all costs since the registry began.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    from: Option<Timestamp>,
    /// When the period ends.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The lower bound, in USD.
    #[schema(value_type = f64)]
    low_usd: MicroUsd,
    /// The upper bound, in USD.
    #[schema(value_type = f64)]
    high_usd: MicroUsd,
    /// The part of the costs that is older than the journal; null if the journal has all changes. Only the groups
    /// `plugin` and `category` include this part. If the registry cannot tell whether an amount belongs here, only
    /// `high_usd` includes the amount.
    #[schema(required)]
    forgotten: Option<Range>,
}

/// The lower and upper bound of an amount.
#[derive(Serialize, ToSchema)]
pub(crate) struct Range {
    /// The lower bound, in USD.
    #[schema(value_type = f64)]
    low_usd: MicroUsd,
    /// The upper bound, in USD.
    #[schema(value_type = f64)]
    high_usd: MicroUsd,
}

/// The costs of the plugins in a group.
#[derive(Serialize, ToSchema)]
pub(crate) struct CostGroup {
    /// The group; null for plugins without this property, and for compacted changes.
    #[schema(required)]
    key: Option<String>,
    /// As in the whole reply.
    #[schema(value_type = f64)]
    burn_usd_per_hour: MicroUsd,
    /// As in the whole reply.
    billable: usize,
    /// As in the whole reply.
    unpriced: usize,
    /// The estimate for `hours`; null without `hours`.
    #[schema(value_type = Option<f64>, required)]
    estimated_usd: Option<MicroUsd>,
    /// The costs so far; null with `as_of`.
    #[schema(required)]
    accrued: Option<Range>,
    /// The costs of each step, as in the whole reply; empty for a group without costs in any step.
    series: Vec<CostStep>,
}

/// The costs of one step of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct CostStep {
    /// When the step begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// When it ends. The last step may be shorter than the others.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The lower bound, in USD.
    #[schema(value_type = f64)]
    low_usd: MicroUsd,
    /// The upper bound, in USD.
    #[schema(value_type = f64)]
    high_usd: MicroUsd,
    /// The mean cost of an hour in this step, by the upper bound.
    #[schema(value_type = f64)]
    burn_usd_per_hour: MicroUsd,
}

impl CostStep {
    /// The steps of a line of costs, from `known_from` on.
    fn all(steps: Option<Steps>, line: &[Spend], known_from: Option<Timestamp>) -> Vec<CostStep> {
        let Some(steps) = steps else { return Vec::new() };
        let step = |(index, spent): (usize, &Spend)| {
            let (from, to) = steps.span(index);
            let Spend { low, high } = *spent;
            CostStep { from, to, low_usd: low, high_usd: high, burn_usd_per_hour: high.per_hour(from, to) }
        };
        let all = line.iter().enumerate().map(step);
        all.filter(|step| known_from.is_none_or(|known| step.from >= known)).collect()
    }
}

impl From<Spend> for Range {
    fn from(Spend { low, high }: Spend) -> Range {
        Range { low_usd: low, high_usd: high }
    }
}

/// Read the costs of plugins.
///
/// All amounts are estimates; the registry does not ask providers for their bills. A plugin costs its
/// `estimated_cost_per_hour` while the status of its remote resource is `provisioning`, `running` or `stopping`. The
/// filters of `GET /plugins` apply to the plugin's values when the costs arose. `as_of` returns the burn rate and the
/// estimate of a past moment; use `to` for the costs up to a moment.
///
/// `step` adds a series for charts, for each group too. As `text/csv`, the reply is a table: of the steps with `step`, and
/// of the groups otherwise. `format=focus` has the columns of FOCUS 1.2 (FinOps) that the registry can fill.
#[utoipa::path(get, path = "/costs", tag = "costs", responses(
    (status = OK, description = "The costs", content((Costs = "application/json"), (String = "text/csv"))),
))]
pub(crate) async fn read_costs(
    now: Now,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    if params.single("since")?.is_some() {
        return Err(bad("`since` does not apply to costs, which change all the time; leave it out and poll"));
    }
    let looked_back_to = params.single("as_of")?.map(str::to_owned);
    let view = ReadOptions::take(&mut params)?;
    let asked = params.clone();
    let form = CostForm::of(&params, &headers)?;
    let (query, hours) = read_query(params, form, api.registry.now())?;
    if view.looks_back() && query.steps.is_some() {
        return Err(bad("`as_of` excludes `step` and `format`; send `from` and `to` for past costs"));
    }
    if view.looks_back() && (query.from.is_some() || query.to.is_some()) {
        return Err(bad(
            "`as_of` excludes `from` and `to`; send `as_of` for a past burn rate, or `from` and `to` for past costs",
        ));
    }
    let ask = CostRequest { api: &api, caller, query, hours, form };
    let answer = if let Some(moment) = looked_back_to {
        let question = CostQuestion::new(&asked, &format!("{form:?} {moment}"), &now.store, now.state.revision());
        api.costs.answer(question, api.registry.now(), ask.looking_back(view, now.0)).await?
    } else {
        let snapshot = view.of(&api, now.0, &CountsInterest, &ask.caller).await?.snapshot;
        let question = CostQuestion::new(&asked, &format!("{form:?}"), &snapshot.store, snapshot.state.revision());
        api.costs.answer(question, api.registry.now(), ask.at_present(snapshot)).await?
    };
    let mut response = if form == CostForm::Json { json::json_bytes(answer.text) } else { csv::reply(answer.text) };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    let (name, value) = revision_header(answer.revision);
    response.headers_mut().insert(name, value);
    Ok(response)
}

/// A question about costs, before it is answered.
struct CostRequest<'a> {
    api: &'a Api,
    caller: WorkCaller,
    query: CostQuery,
    hours: Option<MicroUsd>,
    form: CostForm,
}

impl CostRequest<'_> {
    /// The present costs and the past spending.
    async fn at_present(self, snapshot: Arc<Snapshot>) -> Result<CostAnswer, Problem> {
        let CostRequest { api, caller, query, hours, form } = self;
        let at = api.registry.now();
        let shown = Arc::clone(&snapshot);
        let make = move |statement: &Statement, period: CostPeriod| {
            require_fits(statement)?;
            Ok::<_, Problem>(match form {
                CostForm::Json => json::text_of(&document(statement, Some(period), hours, at, &shown)),
                CostForm::Table => cost_tables::table(statement, period.known_from),
                CostForm::Focus => cost_tables::focus(statement, period.known_from),
            })
        };
        let text = api.registry.costs(caller, &snapshot, &query, at, make).await??;
        Ok(CostAnswer::present(text, snapshot.state.revision(), at, api.registry.now()))
    }

    /// The burn rate and the estimate of a past moment.
    async fn looking_back(self, view: ReadOptions, now: Arc<Snapshot>) -> Result<CostAnswer, Problem> {
        let CostRequest { api, caller, query, hours, form } = self;
        let snapshot = view.of(api, now, &CountsInterest, &caller).await?.snapshot;
        let (at, revision) = (api.registry.now(), snapshot.state.revision());
        let sum = move |turn: &Turn<'_>| {
            let statement = query.standing(&snapshot.state, None, turn)?;
            Ok(match form {
                CostForm::Json => json::text_of(&document(&statement, None, hours, at, &snapshot)),
                CostForm::Table | CostForm::Focus => cost_tables::table(&statement, None),
            })
        };
        let text = api.registry.scans().run(caller, sum).await?;
        Ok(CostAnswer { text, revision, fresh_until: None })
    }
}

/// Reads the query, and the hours of the estimate.
fn read_query(params: Params, form: CostForm, now: Timestamp) -> Result<(CostQuery, Option<MicroUsd>), Problem> {
    let known: Vec<_> = PLUGIN_FILTERS.iter().chain(COST_LIST).map(|parameter| parameter.name).collect();
    let params = params.only(&known)?;
    let mut query = CostQuery::default();
    for (name, values) in params.iter() {
        query.filters.extend(filter(name, values)?);
    }
    let time = |name| params.single(name)?.map(|value| time_of(name, &[value.to_owned()])).transpose();
    (query.from, query.to) = (time("from")?, time("to")?);
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from > to
    {
        return Err(bad("`from` must not be later than `to`"));
    }
    let is_open = form == CostForm::Focus && params.single("step")?.is_none();
    let params = if is_open { params.with("step", "1d") } else { params };
    query.steps = steps_of(&params, now)?;
    if let Some(steps) = query.steps {
        query.from = Some(steps.from);
    }
    if form == CostForm::Focus {
        if params.single("group_by")?.is_some() {
            return Err(bad("`format=focus` has a row for each resource; leave `group_by` out"));
        }
        query.group_by = Some(GroupBy::Resource);
    }
    if let Some(name) = params.single("group_by")? {
        let wrong = || bad(format!("`group_by` must be one of {}<key>", GroupBy::NAMES.join(", ")));
        query.group_by = Some(GroupBy::from_name(name).ok_or_else(wrong)?);
    }
    let hours = params.single("hours")?.map(hours_of).transpose()?;
    query.hours = hours.unwrap_or_default().0;
    Ok((query, hours))
}

/// A number of hours, rounded to a millionth.
fn hours_of(value: &str) -> Result<MicroUsd, Problem> {
    let is_plain = value.bytes().next().is_some_and(|first| first.is_ascii_digit());
    let hours = value.parse().ok().filter(|hours| is_plain && (0.0..=MAX_HOURS).contains(hours));
    hours.map(MicroUsd::nearest).ok_or_else(|| bad(format!("`hours` must be a number from 0 to {MAX_HOURS}")))
}

/// Refuses a reply of too many amounts.
fn require_fits(statement: &Statement) -> Result<(), Problem> {
    if statement.series.amounts() <= MAX_AMOUNTS {
        return Ok(());
    }
    Err(bad(format!(
        "the series has {} amounts in all groups, and a reply has at most {MAX_AMOUNTS}; send a longer `step`, a later `from`, or \
         filters",
        statement.series.amounts()
    )))
}

fn document(
    statement: &Statement,
    accrual: Option<CostPeriod>,
    hours: Option<MicroUsd>,
    at: Timestamp,
    snapshot: &Snapshot,
) -> Costs<'static> {
    let StatementLine { billable, unpriced, burn, estimate, accrued } = statement.total();
    let accrued = accrual.map(|accrual| Accrued {
        from: accrual.from,
        to: accrual.to,
        low_usd: accrued.low,
        high_usd: accrued.high,
        forgotten: Some(accrual.forgotten).filter(|forgotten| !forgotten.is_nothing()).map(Range::from),
    });
    let (series, known_from) = (&statement.series, accrual.and_then(|accrual| accrual.known_from));
    let group = |(key, line): (&Option<String>, &StatementLine)| CostGroup {
        key: key.clone(),
        burn_usd_per_hour: line.burn,
        billable: line.billable,
        unpriced: line.unpriced,
        estimated_usd: hours.map(|_| line.estimate),
        accrued: accrual.map(|_| Range::from(line.accrued)),
        series: CostStep::all(series.steps(), series.line(key), known_from),
    };
    Costs {
        note: NOTE,
        at,
        burn_usd_per_hour: burn,
        billable,
        unpriced,
        estimate: hours.map(|hours| Estimate { hours, usd: estimate }),
        accrued,
        groups: statement.groups().map(group).collect(),
        series: CostStep::all(series.steps(), &series.total(), known_from),
        revision: snapshot.state.revision(),
    }
}
