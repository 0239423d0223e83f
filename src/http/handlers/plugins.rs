//! `/plugins` and `/plugins/{id}`.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, LINK, VARY};
use hyper::{HeaderMap, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use super::ndjson;
use crate::http::extract::body::{JsonBody, PatchBody};
use crate::http::extract::negotiate::prefers;
use crate::http::extract::path::PluginPath;
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::extract::write::Write;
use crate::http::media_type::{JSON, NDJSON, media_type};
use crate::http::problem::Problem;
use crate::http::query::cursor::{Cursor, ListCursor};
use crate::http::query::list_params::{DEFAULT_LIMIT, PluginList, REMOVAL, names};
use crate::http::query::params::Params;
use crate::http::query::read_options::ReadOptions;
use crate::http::reply::json;
use crate::http::reply::list::ListBody;
use crate::http::state::{Api, LONG_SCAN, Shared};
use crate::registry::fair_pool::WorkCaller;
use domain::command::{Command, Precondition, Refusal};
use domain::plugin::{Invalid, Registration, json as json_text, registration};
use domain::query::Listing;
use domain::record::PluginDocument;
use domain::{Revision, Snapshot};

/// How to register many plugins, for a client that sends them in another way.
const AS_LINES: &str = "to register many plugins, send one in each line as application/x-ndjson";

/// A page of plugins. The type describes the reply, which is built from serialised JSON.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginPage)]
pub(crate) struct PluginPage<'a> {
    /// The plugins, in the requested order. With `fields`, only those fields of each plugin.
    items: Vec<PluginDocument<'a>>,
    /// How many plugins match the filters, on all pages.
    total: usize,
    /// The value for the parameter `cursor` on the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The revision that the list was made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// List plugins.
///
/// A plugin must match all filters. A filter with several values, repeated or comma-separated, matches any of them; both
/// `,` and `%2C` separate values, and a comma within a value is written `\,`. As `application/x-ndjson`, the reply has a
/// plugin in each line, and all plugins unless `limit` is sent.
#[utoipa::path(get, path = "/plugins", tag = "plugins", responses(
    (status = OK, description = "The plugins", content((PluginPage = "application/json"), (String = "application/x-ndjson"))),
    (status = NOT_MODIFIED, description = "Nothing has changed since the given tag"),
    (status = GONE, description = "The cursor belongs to another store"),
))]
pub(crate) async fn list_plugins(
    now: Now,
    precondition: Precondition,
    uri: Uri,
    headers: HeaderMap,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    mut params: Params,
) -> Result<Response, Problem> {
    let view = ReadOptions::take(&mut params)?;
    let mut list = PluginList::read(params, &now.store)?;
    list.query = list.query.with_names_of(api.registry.own_host());
    let seen = view.of(&api, now.0, &list.query, &caller).await?;
    let snapshot = Arc::clone(&seen.snapshot);
    let lines = prefers(&headers, &[JSON, NDJSON], NDJSON);
    if !lines {
        list.query.limit.get_or_insert(DEFAULT_LIMIT);
    }
    let page = page_of(&api, caller, &snapshot, &list).await?;
    let next = page.next.as_ref().map(|next| Cursor::write(&snapshot.store, &list.list, ListCursor::from(next)));
    let make = || {
        if lines { ndjson_list(page, list.fields) } else { json_list(&snapshot, page, next.as_deref(), list.fields) }
    };
    let mut response = json::of_snapshot(&snapshot, &precondition, make)?;
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    let link = next.and_then(|next| json::next_page(uri.query(), &next));
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    Ok(seen.answer(response))
}

async fn page_of(
    api: &Api,
    caller: WorkCaller,
    snapshot: &Arc<Snapshot>,
    list: &PluginList,
) -> Result<Listing, Problem> {
    let plan = list.query.plan(&snapshot.state);
    if plan.cost() <= LONG_SCAN {
        return Ok(plan.run());
    }
    let (snapshot, query) = (Arc::clone(snapshot), list.query.clone());
    Ok(api.registry.scans().run(caller, move |turn| query.plan(&snapshot.state).run_at(turn)).await?)
}

fn json_list(snapshot: &Snapshot, page: Listing, next: Option<&str>, fields: Option<Vec<&'static str>>) -> Response {
    let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
    let end = format!("],\"total\":{},\"next_cursor\":{next},\"revision\":{}}}", page.total, snapshot.state.revision());
    let body = ListBody::of(Bytes::from_static(b"{\"items\":["), page.items, b",", end.into(), fields);
    ([(CONTENT_TYPE, JSON)], body).into_response()
}

fn ndjson_list(page: Listing, fields: Option<Vec<&'static str>>) -> Response {
    let end = if page.items.is_empty() { "" } else { "\n" };
    let body = ListBody::of(Bytes::new(), page.items, b"\n", end.into(), fields);
    ([(CONTENT_TYPE, NDJSON)], body).into_response()
}

/// Register a plugin, or many plugins.
///
/// Registering an existing plugin replaces the descriptive fields. The runtime fields (`spawned_pids`, `container_id`,
/// `remote_resource`, `is_configured`, `host`, `lease_id`) keep their values unless the body names them. Repeating a
/// registration changes nothing. A body of `application/x-ndjson` registers a plugin with each line; the reply has a
/// result for each line.
#[utoipa::path(post, path = "/plugins", tag = "plugins",
    responses(
        (status = CREATED, description = "The plugin is new", body = PluginDocument, headers(("Location" = String, description = "The plugin's path"))),
        (status = OK, description = "The plugin existed already; or the results of many registrations", content((PluginDocument = "application/json"), (String = "application/x-ndjson"))),
        (status = CONFLICT, description = "The unique_id belongs to another plugin"),
    ))]
pub(crate) async fn register_plugin(
    State(api): State<Shared>,
    write: Write,
    request: Request,
) -> Result<Response, Problem> {
    if media_type(request.headers()).as_deref() == Some(NDJSON) {
        return ndjson::register_many(&api, write, request).await;
    }
    let JsonBody::<0>(body) = JsonBody::from_request(request, &api)
        .await
        .map_err(|problem| problem.advise(|detail| detail.contains(json_text::MORE_FOLLOWS), AS_LINES))?;
    if body.is_array() {
        return Err(Invalid::at("", format!("must be an object, not an array; {AS_LINES}")).into());
    }
    write.run(Command::Register(Box::new(Registration::read(body)?))).await
}

/// Read a plugin.
#[utoipa::path(get, path = "/plugins/{id}", tag = "plugins", responses(
    (status = OK, description = "The plugin", body = PluginDocument),
    (status = NOT_MODIFIED, description = "The plugin has not changed since the given tag"),
))]
pub(crate) async fn read_plugin(
    now: Now,
    PluginPath(id): PluginPath,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    mut params: Params,
    precondition: Precondition,
) -> Result<Response, Problem> {
    let view = ReadOptions::take(&mut params)?;
    params.only(&[])?;
    let seen = view.of(&api, now.0, &id, &caller).await?;
    let record = seen.snapshot.state.plugin(id.as_str()).ok_or(Refusal::NotFound(id))?;
    Ok(seen.answer(json::plugin(&seen.snapshot, record, &precondition)?))
}

/// Register a plugin at its path.
///
/// Like POST to `/plugins`; the category and the name in the body must yield this `id`. With `If-None-Match: *`, the
/// request fails if the plugin exists.
#[utoipa::path(put, path = "/plugins/{id}", tag = "plugins", responses(
    (status = CREATED, description = "The plugin is new", body = PluginDocument, headers(("Location" = String, description = "The plugin's path"))),
    (status = OK, description = "The plugin existed already", body = PluginDocument),
    (status = CONFLICT, description = "The document is about another plugin"),
))]
pub(crate) async fn replace_plugin(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let registration = Box::new(Registration::read(body)?);
    write.run(Command::Replace { id, registration }).await
}

/// Change some fields of a plugin.
///
/// The body is a JSON Merge Patch (RFC 7396): null clears a field, and absent fields keep their values.
#[utoipa::path(patch, path = "/plugins/{id}", tag = "plugins",
    responses(
        (status = OK, description = "The plugin after the change", body = PluginDocument),
        (status = CONFLICT, description = "Name and category cannot be changed"),
    ))]
pub(crate) async fn patch_plugin(
    PluginPath(id): PluginPath,
    write: Write,
    PatchBody(mut patch): PatchBody,
) -> Result<Response, Problem> {
    registration::drop_null_dataclass(&mut patch);
    write.run(Command::Patch { id, patch }).await
}

/// Remove a plugin.
///
/// Without `force=true`, the registry refuses to remove a plugin with processes, a container, or a remote resource that
/// may be billed. After a removal, the registry no longer tracks resources that may still run.
#[utoipa::path(delete, path = "/plugins/{id}", tag = "plugins", responses(
    (status = NO_CONTENT, description = "The plugin was removed"),
    (status = CONFLICT, description = "The plugin still holds resources"),
))]
pub(crate) async fn remove_plugin(PluginPath(id): PluginPath, mut write: Write) -> Result<Response, Problem> {
    let force = write.take_params(&names(REMOVAL))?.flag("force")?.unwrap_or(false);
    write.run(Command::Remove { id, force }).await
}
