//! `/resources`: the resources of all plugins, as rows.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, LINK, VARY};
use hyper::{HeaderMap, Uri};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_value};
use utoipa::ToSchema;

use crate::http::extract::negotiate::chosen;
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::headers::revision_header;
use crate::http::media_type::{CSV, JSON, NDJSON};
use crate::http::problem::Problem;
use crate::http::query::cursor::Cursor;
use crate::http::query::list_params::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::http::query::params::{Params, bad};
use crate::http::query::read_options::ReadOptions;
use crate::http::query::resource_params::{ResourceList, RowCursor};
use crate::http::reply::list::projected;
use crate::http::reply::{csv, json};
use crate::http::state::{LONG_SCAN, Shared};
use crate::liveness::next_step::ProbedHosts;
use crate::registry::fair_pool::WorkCaller;
use domain::command::Precondition;
use domain::query::resource_sort::ResourceSortField;
use domain::query::{Pace, Resource, Unpaced};
use domain::record::FindingKind;
use domain::{MicroUsd, Revision, Snapshot};

/// The media types of the list.
const OFFERED: &[&str] = &[JSON, NDJSON, CSV];

/// The columns of a table of resources.
const COLUMNS: &[&str] = &[
    "plugin",
    "kind",
    "id",
    "host",
    "claim",
    "claimed",
    "billable",
    "provider",
    "gpu_type",
    "gpu_count",
    "usd_per_hour",
    "spent_usd.low_usd",
    "spent_usd.high_usd",
    "held_since",
    "left_at",
    "expires_at",
    "observed.state",
    "observed.at",
    "observed.by",
    "finding",
    "acknowledged.until",
    "lease_id",
    "lease.state",
    "certainty",
    "evidence.text",
    "evidence.next_step",
];

/// A page of resources.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResourcePage<'a> {
    /// The rows, in the requested order. With `fields`, only those fields of each row.
    #[schema(value_type = Vec<Resource>)]
    items: Rows<'a>,
    /// How many resources match the filters, on all pages.
    total: usize,
    /// The current cost of an hour of these resources on all pages, in USD.
    #[schema(value_type = f64)]
    usd_per_hour: MicroUsd,
    /// The value for the parameter `cursor` on the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The revision that the rows were made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// The rows of a page. They are written into the text of the page at once: most of what such a page costs is its text.
struct Rows<'a> {
    rows: &'a [Resource],
    fields: Option<&'a [&'static str]>,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.fields {
            None => serializer.collect_seq(self.rows),
            Some(fields) => serializer.collect_seq(self.rows.iter().filter_map(|row| some_fields(row, fields))),
        }
    }
}

/// List the resources that plugins hold.
///
/// Each process, container and remote resource is a row, with the plugin's claim, the last observation, the findings and
/// the price. `sort=-usd_per_hour` lists the dearest first. Costs so far (`spent_usd`) grow all the time: they are there if
/// `fields` names them, sorted by them, and as CSV; such a reply has no entity tag. As `application/x-ndjson`, the reply has a row in each line; as
/// `text/csv`, a table for spreadsheets. The parameters `pid`, `container_id`, `instance_id` and `endpoint` find the holder
/// of a resource. Each candidate is then a row, with the certainty of the match. With `host`, the rows include plugins
/// that have not declared their host. The first 12 digits of a container's id suffice.
#[utoipa::path(get, path = "/resources", tag = "resources", responses(
    (status = OK, description = "The rows", content((ResourcePage = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"))),
    (status = NOT_MODIFIED, description = "Nothing has changed since the given tag"),
    (status = GONE, description = "The cursor belongs to another store"),
))]
pub(crate) async fn list_resources(
    now: Now,
    precondition: Precondition,
    uri: Uri,
    headers: HeaderMap,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    mut params: Params,
) -> Result<Response, Problem> {
    let view = ReadOptions::take(&mut params)?;
    let form = chosen(&headers, OFFERED);
    let limit = if form == JSON { DEFAULT_LIMIT } else { MAX_LIMIT };
    let mut list = ResourceList::read(params, &now.store, api.registry.now(), limit)?;
    if view.looks_back() && list.query.sort.field == ResourceSortField::SpentUsd {
        return Err(bad("`as_of` excludes `sort=spent_usd`; read past costs with `from` and `to` of GET /costs"));
    }
    list.query.host = list.query.host.map(|names| names.with_names_of(api.registry.own_host()));
    let seen = view.of(&api, now.0, &list.query, &caller).await?;
    let snapshot = &seen.snapshot;
    let is_present = seen.is_present();
    let spent_at = (is_present && shows_spent(&list, form)).then(|| api.registry.now());
    let scan = ResourceScan { api: api.clone(), snapshot: Arc::clone(snapshot), list, spent_at, is_present, form };
    let (text, next) = scan.run(caller).await?;
    let link = next.as_ref().and_then(|next| json::next_page(uri.query(), next));
    let make = || match form {
        CSV => csv::reply(text),
        NDJSON => ([(CONTENT_TYPE, NDJSON)], text).into_response(),
        _ => json::json_bytes(text),
    };
    let mut response = if spent_at.is_some() {
        // The amounts grow all the time, so a tag of the revision would be wrong.
        let mut response = make();
        let (name, value) = revision_header(snapshot.state.revision());
        response.headers_mut().insert(name, value);
        response
    } else {
        json::of_snapshot(snapshot, &precondition, make)?
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    Ok(seen.answer(response))
}

/// Whether a list has costs so far: a client that does not ask for them gets a reply that depends on the revision alone.
fn shows_spent(list: &ResourceList, form: &str) -> bool {
    let is_named = list.fields.as_ref().map_or(form == CSV, |fields| fields.contains(&"spent_usd"));
    is_named || list.query.sort.field == ResourceSortField::SpentUsd
}

/// A page to make.
struct ResourceScan {
    api: Shared,
    snapshot: Arc<Snapshot>,
    list: ResourceList,
    /// Up to when the costs so far count; `None` for none.
    spent_at: Option<Timestamp>,
    is_present: bool,
    form: &'static str,
}

impl ResourceScan {
    /// The page as text, with its `next_cursor`; at the caller's turn if it is long.
    async fn run(self, caller: WorkCaller) -> Result<(Bytes, Option<String>), Problem> {
        let query = &self.list.query;
        let state = &self.snapshot.state;
        if query.cost(state).max(query.most_rows(state)) <= LONG_SCAN {
            let Ok(page) = self.page(&Unpaced);
            return Ok(page);
        }
        let api = self.api.clone();
        Ok(api.registry.scans().run(caller, move |turn| self.page(turn)).await?)
    }

    fn page<P: Pace>(&self, pace: &P) -> Result<(Bytes, Option<String>), P::Stop> {
        let ResourceScan { api, snapshot, list, spent_at, is_present, form } = self;
        let mut page = list.query.run_at(&snapshot.state, pace)?;
        if *is_present {
            api.registry.freshen(&mut page.items);
        }
        if let Some(at) = *spent_at {
            for row in &mut page.items {
                row.count_spent(&snapshot.state, at);
            }
        }
        // The next step is always of today.
        if page.items.iter().any(|row| row.finding == Some(FindingKind::Unverified)) {
            let agents = api.registry.heartbeats().hosts();
            let (own, sight) = (api.registry.own_host(), api.sight.points());
            ProbedHosts { own, sight: &sight, agents: &agents }.advise(&mut page.items);
        }
        let cursor = |next| Cursor::write(&snapshot.store, &list.list, RowCursor::of(next, &list.query));
        let next = page.next.as_ref().map(cursor);
        let text = match *form {
            CSV => table(&page.items, list.fields.as_deref()),
            NDJSON => lines(&page.items, list.fields.as_deref()),
            _ => json::text_of(&ResourcePage {
                items: Rows { rows: &page.items, fields: list.fields.as_deref() },
                total: page.total,
                usd_per_hour: page.hourly,
                next_cursor: next.clone(),
                revision: snapshot.state.revision(),
            }),
        };
        Ok((text, next))
    }
}

/// Some fields of a row. Serialising a row to memory cannot fail.
fn some_fields(row: &Resource, fields: &[&'static str]) -> Option<Box<RawValue>> {
    let text = projected(&json::text_of(row), fields);
    RawValue::from_string(String::from_utf8(text).ok()?).ok()
}

fn lines(rows: &[Resource], fields: Option<&[&'static str]>) -> Bytes {
    let mut text = Vec::new();
    for row in rows {
        match fields {
            Some(fields) => text.extend(projected(&json::text_of(row), fields)),
            // Serialising a row to memory cannot fail.
            None => drop(serde_json::to_writer(&mut text, row)),
        }
        text.push(b'\n');
    }
    text.into()
}

fn table(rows: &[Resource], fields: Option<&[&'static str]>) -> Bytes {
    let field_of = |column: &str| column.split('.').next().unwrap_or_default().to_owned();
    let is_wanted = |column: &&str| fields.is_none_or(|fields| fields.contains(&&*field_of(column)));
    let columns: Vec<&str> = COLUMNS.iter().copied().filter(|column| is_wanted(column)).collect();
    csv::table(&columns, rows.iter().filter_map(|row| to_value(row).ok()))
}
