//! `/resources`: the resources of all plugins, as rows.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::Uri;
use hyper::header::LINK;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::snapshot::Now;
use crate::http::problem::{Kind, Problem};
use crate::http::query::cursor::Cursor;
use crate::http::query::list_params::ResourceList;
use crate::http::query::params::Params;
use crate::http::query::read_options::ReadOptions;
use crate::http::reply::json;
use crate::http::state::{LONG_SCAN, Shared};
use crate::liveness::next_step::ProbedHosts;
use domain::command::Precondition;
use domain::query::{Resource, ResourceQuery, resources};
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
    mut params: Params,
) -> Result<Response, Problem> {
    let view = ReadOptions::take(&mut params)?;
    let ResourceList { mut query, list } = ResourceList::read(params, &now.store)?;
    query.host = query.host.map(|names| names.with_names_of(api.registry.own_host()));
    let seen = view.of(&api, now.0, &query).await?;
    let snapshot = &seen.snapshot;
    let mut page = page_of(snapshot, query).await?;
    if seen.is_present() {
        api.registry.freshen(&mut page.items);
    }
    // The next step is always of today.
    let agents = api.registry.heartbeats().hosts(api.registry.clock().now());
    let (own, sight) = (api.registry.own_host(), api.sight.points());
    ProbedHosts { own, sight: &sight, agents: &agents }.advise(&mut page.items);
    let next = page.next.map(|next| Cursor::write(&snapshot.store, &list, (next.unique_id.to_string(), next.row)));
    let link = next.as_ref().and_then(|next| json::next_page(uri.query(), next));
    let body = ResourcePage { items: page.items, next_cursor: next, revision: snapshot.state.revision() };
    let mut response = json::of_snapshot(snapshot, &precondition, || json::json(&body))?;
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    Ok(seen.answer(response))
}

async fn page_of(snapshot: &Arc<Snapshot>, query: ResourceQuery) -> Result<resources::ResourcePage, Problem> {
    if query.cost(&snapshot.state) <= LONG_SCAN {
        return Ok(query.run(&snapshot.state));
    }
    let snapshot = Arc::clone(snapshot);
    tokio::task::spawn_blocking(move || query.run(&snapshot.state))
        .await
        .map_err(|_| Problem::new(Kind::Internal, "the list failed with an internal error; the log has the cause"))
}
