//! `/costs`: what plugins cost now, would cost, and have cost, by their declared prices.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::snapshot::Now;
use crate::http::headers::revision_header;
use crate::http::problem::{Kind, Problem};
use crate::http::query::list_params::{COST_LIST, PLUGIN_FILTERS, filter, time_of};
use crate::http::query::parameter::MAX_HOURS;
use crate::http::query::params::{Params, bad};
use crate::http::query::read_options::ReadOptions;
use crate::http::reply::json;
use crate::http::state::{LONG_SCAN, Shared};
use domain::cost::{GroupBy, Statement, StatementLine};
use domain::index::IndexKey;
use domain::query::CostQuery;
use domain::query::cost::CostPeriod;
use domain::query::interest::CountsInterest;
use domain::{MicroUsd, Revision, Snapshot, Spend};

/// What every answer says of itself.
const NOTE: &str =
    "an estimate from the declared prices (estimated_cost_per_hour) and the claimed status; no provider was asked";

/// What plugins cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct Costs<'a> {
    /// What this is: an estimate from declared prices.
    note: &'a str,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What an hour costs now, in USD: of all that is billable.
    #[schema(value_type = f64)]
    burn_usd_per_hour: MicroUsd,
    /// How many plugins a provider may be charging for.
    billable: usize,
    /// How many of those have no price; they are counted as costing nothing.
    unpriced: usize,
    /// What the given hours would cost; null when none were given.
    #[schema(required)]
    estimate: Option<Estimate>,
    /// What has been spent; null when it is asked how things stood in the past.
    #[schema(required)]
    accrued: Option<Accrued>,
    /// The same by group, in the order of the groups; empty when nothing is grouped.
    groups: Vec<CostGroup>,
    /// The revision that the answer was made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// What some hours would cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct Estimate {
    /// How many hours.
    #[schema(value_type = f64)]
    hours: MicroUsd,
    /// What they would cost, of those plugins alone whose status is `running`.
    #[schema(value_type = f64)]
    usd: MicroUsd,
}

/// What has been spent, at the least and at the most.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accrued {
    /// When it begins; null for all that there ever was.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    from: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// At the least, in USD.
    #[schema(value_type = f64)]
    low_usd: MicroUsd,
    /// At the most, in USD.
    #[schema(value_type = f64)]
    high_usd: MicroUsd,
    /// How much of that lies before what the journal keeps; null when it keeps all of it. It is in no group but that of
    /// its plugin or category, and where it cannot be told whether it belongs here, it is in `high_usd` alone.
    #[schema(required)]
    forgotten: Option<Range>,
}

/// An amount, at the least and at the most.
#[derive(Serialize, ToSchema)]
pub(crate) struct Range {
    /// At the least, in USD.
    #[schema(value_type = f64)]
    low_usd: MicroUsd,
    /// At the most, in USD.
    #[schema(value_type = f64)]
    high_usd: MicroUsd,
}

/// What the plugins of one group cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct CostGroup {
    /// The group; null for what has no such property, or what is no longer known of it.
    #[schema(required)]
    key: Option<String>,
    /// See the whole.
    #[schema(value_type = f64)]
    burn_usd_per_hour: MicroUsd,
    /// See the whole.
    billable: usize,
    /// See the whole.
    unpriced: usize,
    /// What the given hours would cost; null when none were given.
    #[schema(value_type = Option<f64>, required)]
    estimated_usd: Option<MicroUsd>,
    /// What has been spent; null when it is asked how things stood in the past.
    #[schema(required)]
    accrued: Option<Range>,
}

impl From<Spend> for Range {
    fn from(Spend { low, high }: Spend) -> Range {
        Range { low_usd: low, high_usd: high }
    }
}

/// Tell what plugins cost.
///
/// An estimate: no provider is asked for its bill. A plugin costs its `estimated_cost_per_hour` as long as the status of its
/// remote resource is `provisioning`, `running` or `stopping`. The filters of `GET /plugins` hold for the
/// plugins as they were when the money was spent. `as_of` tells the rate and the estimate of the past, and not what was spent
/// by then: that is what `to` is for.
#[utoipa::path(get, path = "/costs", tag = "costs", responses(
    (status = OK, description = "The costs", body = Costs),
))]
pub(crate) async fn read_costs(now: Now, State(api): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    if params.single("since")?.is_some() {
        return Err(bad("`since` waits for a change, and what was spent changes all the time; ask again instead"));
    }
    let view = ReadOptions::take(&mut params)?;
    let looks_back = view.looks_back();
    let (query, hours) = read_query(params)?;
    if looks_back && (query.from.is_some() || query.to.is_some()) {
        return Err(bad("`as_of` tells the rate of the past; what was spent by then is told by `from` and `to` alone"));
    }
    let snapshot = view.of(&api, now.0, &CountsInterest).await?.snapshot;
    let at = api.registry.now();
    let (statement, accrual) = if looks_back {
        (present(&snapshot, query).await?, None)
    } else {
        let (statement, accrual) = api.registry.costs(&snapshot, &query, at).await?;
        (statement, Some(accrual))
    };
    let mut response = json::json(&document(&statement, accrual, hours, at, &snapshot));
    let (name, value) = revision_header(snapshot.state.revision());
    response.headers_mut().insert(name, value);
    Ok(response)
}

async fn present(snapshot: &Arc<Snapshot>, query: CostQuery) -> Result<Statement, Problem> {
    if snapshot.state.indexes().count(&IndexKey::Billable) <= LONG_SCAN {
        return Ok(query.present(&snapshot.state));
    }
    let snapshot = Arc::clone(snapshot);
    tokio::task::spawn_blocking(move || query.present(&snapshot.state))
        .await
        .map_err(|_| Problem::new(Kind::Internal, "the sum could not be made; the fault was logged"))
}

/// What is asked, and for how many hours, if any.
fn read_query(params: Params) -> Result<(CostQuery, Option<MicroUsd>), Problem> {
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
    if let Some(name) = params.single("group_by")? {
        let wrong = || bad(format!("`group_by` must be one of {}<key>", GroupBy::NAMES.join(", ")));
        query.group_by = Some(GroupBy::from_name(name).ok_or_else(wrong)?);
    }
    let hours = params.single("hours")?.map(hours_of).transpose()?;
    query.hours = hours.unwrap_or_default().0;
    Ok((query, hours))
}

/// A number of hours, to the millionth.
fn hours_of(value: &str) -> Result<MicroUsd, Problem> {
    let is_plain = value.bytes().next().is_some_and(|first| first.is_ascii_digit());
    let hours = value.parse().ok().filter(|hours| is_plain && (0.0..=MAX_HOURS).contains(hours));
    hours.map(MicroUsd::nearest).ok_or_else(|| bad(format!("`hours` must be a number from 0 to {MAX_HOURS}")))
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
    let group = |(key, line): (&Option<String>, &StatementLine)| CostGroup {
        key: key.clone(),
        burn_usd_per_hour: line.burn,
        billable: line.billable,
        unpriced: line.unpriced,
        estimated_usd: hours.map(|_| line.estimate),
        accrued: accrual.map(|_| Range::from(line.accrued)),
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
        revision: snapshot.state.revision(),
    }
}
