//! `/resources`: the resources of all plugins, as rows.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use hyper::Uri;
use hyper::header::LINK;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::problem::Problem;
use crate::http::query::cursor::Cursor;
use crate::http::query::list_params::ResourceList;
use crate::http::query::params::Params;
use crate::http::query::read_options::ReadOptions;
use crate::http::reply::json;
use crate::http::state::{LONG_SCAN, Shared};
use crate::liveness::next_step::ProbedHosts;
use crate::registry::fair_pool::WorkCaller;
use domain::command::Precondition;
use domain::query::{Pace, Resource, ResourceQuery, Unpaced};
use domain::{Revision, Snapshot};

/// A page of resources.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResourcePage {
    /// The rows, sorted by the plugins' ids.
    items: Vec<Resource>,
    /// The value for the parameter `cursor` on the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The revision that the rows were made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// List the resources that plugins hold.
///
/// Each process, container and remote resource is a row, with the plugin's claim, the last observation and the
/// findings. The parameters `pid`, `container_id`, `instance_id` and `endpoint` find the holder of a resource. Each
/// candidate is then a row, with the certainty of the match. With `host`, the rows include plugins that have not
/// declared their host. The first 12 digits of a container's id suffice.
#[utoipa::path(get, path = "/resources", tag = "resources", responses(
    (status = OK, description = "The rows", body = ResourcePage),
    (status = NOT_MODIFIED, description = "Nothing has changed since the given tag"),
    (status = GONE, description = "The cursor belongs to another store"),
))]
pub(crate) async fn list_resources(
    now: Now,
    precondition: Precondition,
    uri: Uri,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    mut params: Params,
) -> Result<Response, Problem> {
    let view = ReadOptions::take(&mut params)?;
    let ResourceList { mut query, list } = ResourceList::read(params, &now.store)?;
    query.host = query.host.map(|names| names.with_names_of(api.registry.own_host()));
    let seen = view.of(&api, now.0, &query, &caller).await?;
    let snapshot = &seen.snapshot;
    let scan =
        ResourceScan { api: api.clone(), snapshot: Arc::clone(snapshot), query, list, is_present: seen.is_present() };
    let (text, next) = scan.run(caller).await?;
    let link = next.as_ref().and_then(|next| json::next_page(uri.query(), next));
    let mut response = json::of_snapshot(snapshot, &precondition, || json::json_bytes(text))?;
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    Ok(seen.answer(response))
}

/// A page to make.
struct ResourceScan {
    api: Shared,
    snapshot: Arc<Snapshot>,
    query: ResourceQuery,
    /// See [`ResourceList::list`].
    list: String,
    is_present: bool,
}

impl ResourceScan {
    /// The page as JSON, with its `next_cursor`; at the caller's turn if it is long.
    async fn run(self, caller: WorkCaller) -> Result<(Bytes, Option<String>), Problem> {
        if self.query.cost(&self.snapshot.state).max(self.query.limit) <= LONG_SCAN {
            let Ok(page) = self.page(&Unpaced);
            return Ok(page);
        }
        let api = self.api.clone();
        Ok(api.registry.scans().run(caller, move |turn| self.page(turn)).await?)
    }

    fn page<P: Pace>(&self, pace: &P) -> Result<(Bytes, Option<String>), P::Stop> {
        let ResourceScan { api, snapshot, query, list, is_present } = self;
        let mut page = query.run_at(&snapshot.state, pace)?;
        if *is_present {
            api.registry.freshen(&mut page.items);
        }
        // The next step is always of today.
        let agents = api.registry.heartbeats().hosts(api.registry.clock().now());
        let (own, sight) = (api.registry.own_host(), api.sight.points());
        ProbedHosts { own, sight: &sight, agents: &agents }.advise(&mut page.items);
        let next = page.next.map(|next| Cursor::write(&snapshot.store, list, (next.unique_id.to_string(), next.row)));
        let body = ResourcePage { items: page.items, next_cursor: next.clone(), revision: snapshot.state.revision() };
        Ok((json::text_of(&body), next))
    }
}
