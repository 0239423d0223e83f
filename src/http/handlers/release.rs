//! Many resources at once: `/resources/release`.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::extract::body::OptionalJsonBody;
use crate::http::extract::idempotency::IDEMPOTENCY_REPLAYED;
use crate::http::extract::write::Write;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::query::list_params::{RELEASE, names};
use crate::http::query::params::{Params, bad};
use crate::http::query::resource_params::{RESOURCE_FILTERS, conditions};
use crate::http::reply::json;
use crate::http::state::{Api, Shared};
use domain::Revision;
use domain::command::request::ReleaseItem;
use domain::command::{Command, Outcome, Refusal, release_rules};
use domain::plugin::read::{ObjectReader, kind_of, nullable, one_of, string};
use domain::plugin::{Invalid, UniqueId};
use domain::query::ResourceQuery;
use domain::record::{ResourceKind, Slot};

/// The most resources that one request releases.
pub(crate) const MAX_RELEASED: usize = 1_000;

/// The fields that [`released`] takes.
pub(crate) const RELEASE_FIELDS: &[&str] = &["resources"];

/// The fields of one of them.
pub(crate) const RESOURCE_FIELDS: &[&str] = &["plugin", "kind", "id", "host", "if_revision"];

/// The results of a release.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReleaseResult<'a> {
    /// Whether the request only asked what would be done.
    dry_run: bool,
    /// The result for each resource, in the order of the request.
    items: Vec<ReleasedItem<'a>>,
}

/// The result for one resource.
#[derive(Serialize, ToSchema)]
#[schema(as = ReleasedResource)]
pub(crate) struct ReleasedItem<'a> {
    /// The unique_id of its plugin.
    #[schema(value_type = String)]
    plugin: UniqueId,
    /// The kind of resource.
    kind: ResourceKind,
    /// Its id.
    #[schema(value_type = String)]
    id: Box<str>,
    /// Whether the plugin held it, and holds it no longer (with `dry_run`: would hold it no longer).
    released: bool,
    /// The revision of the plugin after the release; null if nothing was released.
    #[schema(value_type = Option<u64>, required)]
    revision: Option<Revision>,
    /// Why it was not released; null if it was.
    #[schema(value_type = Option<Object>, required)]
    problem: Option<ProblemDocument<'a>>,
}

/// Reads the resources to release.
pub(crate) fn released(body: Value) -> Result<Vec<ReleaseItem>, Invalid> {
    let mut fields = ObjectReader::new(body, "", RELEASE_FIELDS, &[])?;
    let resources = fields.required("resources", resources);
    fields.finish()?;
    resources.ok_or_else(|| Invalid::at("/resources", "is required"))
}

fn resources(value: Value, pointer: &str) -> Result<Vec<ReleaseItem>, Invalid> {
    let Value::Array(items) = value else {
        return Err(Invalid::at(pointer, format!("must be an array of resources, not {}", kind_of(&value))));
    };
    if items.is_empty() || items.len() > MAX_RELEASED {
        return Err(Invalid::at(pointer, format!("must have 1 to {MAX_RELEASED} resources")));
    }
    let mut read = Vec::with_capacity(items.len());
    let mut errors = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match resource(item, &format!("{pointer}/{index}")) {
            Ok(resource) => read.push(resource),
            Err(Invalid(wrong)) => errors.extend(wrong),
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(Invalid(errors)) }
}

/// Reads one resource to release.
pub(crate) fn resource(value: Value, pointer: &str) -> Result<ReleaseItem, Invalid> {
    let mut fields = ObjectReader::new(value, pointer, RESOURCE_FIELDS, &[])?;
    let plugin = fields.required("plugin", string);
    let kind = fields.required("kind", one_of(ResourceKind::NAMES, ResourceKind::from_name));
    let id = fields.required("id", string);
    let host = fields.optional("host", nullable(string)).flatten();
    let if_revision =
        fields.optional("if_revision", nullable(|value, pointer: &str| revision(&value, pointer))).flatten();
    fields.finish()?;
    // `finish` has refused a document without these fields.
    let (Some(plugin), Some(kind), Some(id)) = (plugin, kind, id) else {
        return Err(Invalid::at(pointer, "plugin, kind and id are required"));
    };
    let slot = Slot { host: host.map(Into::into), ..Slot::new(kind, id) };
    Ok(ReleaseItem { id: UniqueId::from_client(&plugin), slot, if_revision })
}

fn revision(value: &Value, pointer: &str) -> Result<Revision, Invalid> {
    let revision = value.as_u64().filter(|revision| i64::try_from(*revision).is_ok());
    revision
        .map(Revision)
        .ok_or_else(|| Invalid::at(pointer, format!("must be a revision: an integer from 0 to {}", i64::MAX)))
}

/// Release resources.
///
/// Ends each resource for its plugin, also one that was left behind. The body names the resources; without a body, the
/// filters of `GET /resources` select them, at least one. The registry stops nothing: stop the resource first. The
/// resources of a plugin are released together, and all plugins in one commit. A refused resource refuses no other.
/// `dry_run=true` only reports what would be released. With an `Idempotency-Key`, a repeat gets the first response, whatever
/// the filters select by then; a request that released nothing is decided anew.
#[utoipa::path(post, path = "/resources/release", tag = "resources", responses(
    (status = OK, description = "The result for each resource", body = ReleaseResult),
))]
pub(crate) async fn release_resources(
    State(api): State<Shared>,
    mut write: Write,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let known: Vec<_> = names(RELEASE).into_iter().chain(names(RESOURCE_FILTERS)).collect();
    let mut filters = write.take_params(&known)?;
    let dry_run = filters.split_off(&names(RELEASE)).flag("dry_run")?.unwrap_or(false);
    let selected = match body {
        Some(_) if !filters.is_empty() => {
            return Err(bad("send the resources in the body, or filters in the query; not both"));
        }
        Some(body) => Ok(released(body)?),
        None => selected(&api, &write, &filters),
    };
    if dry_run {
        let items = selected?;
        let plan = release_rules::plan(&write.snapshot().state, write.principal(), &items);
        let results: Vec<Released> = plan.results.into_iter().map(|result| result.map(|_| None)).collect();
        return Ok(reply(&items, &results, true));
    }
    // What the filters select by now does not matter to a repeat, so the writer looks for its response first.
    let (items, refused) = match selected {
        Ok(items) => (items, None),
        Err(problem) if write.has_key() => (Vec::new(), Some(problem)),
        Err(problem) => return Err(problem),
    };
    let command = Command::ReleaseMany { items: items.clone() };
    let make = move |outcome: &Outcome| {
        let results: Vec<Released> = outcome.results.iter().map(|result| result.clone().map(Some)).collect();
        reply(&items, &results, false)
    };
    let response = write.run_for(command, make).await?;
    match refused {
        Some(problem) if !response.headers().contains_key(IDEMPOTENCY_REPLAYED) => Err(problem),
        _ => Ok(response),
    }
}

/// The resources that filters select now.
fn selected(api: &Api, write: &Write, filters: &Params) -> Result<Vec<ReleaseItem>, Problem> {
    if filters.is_empty() {
        return Err(bad(
            "send the resources to release in the body, or at least one filter in the query, such as finding=ghost",
        ));
    }
    let query = conditions(filters)?;
    let host = query.host.clone().map(|names| names.with_names_of(api.registry.own_host()));
    let page = ResourceQuery { host, limit: MAX_RELEASED, ..query }.run(&write.snapshot().state);
    if page.next.is_some() {
        return Err(bad(format!(
            "the filters select {} resources, and a request releases at most {MAX_RELEASED}; send more filters",
            page.total
        )));
    }
    let named = |row: &domain::query::Resource| ReleaseItem {
        id: row.plugin.clone(),
        slot: row.key().slot(),
        if_revision: None,
    };
    Ok(page.items.iter().map(named).collect())
}

/// The result for a resource: the revision of its plugin after the release, unless the run is dry.
type Released = Result<Option<Revision>, Refusal>;

/// The reply with the result for each resource.
fn reply(items: &[ReleaseItem], results: &[Released], dry_run: bool) -> Response {
    let problems: Vec<Option<Problem>> = results.iter().map(|result| result.clone().err().map(Problem::from)).collect();
    let rows = items.iter().zip(results).zip(&problems).map(|((item, result), problem)| ReleasedItem {
        plugin: item.id.clone(),
        kind: item.slot.kind,
        id: item.slot.id.clone(),
        released: result.is_ok(),
        revision: result.as_ref().ok().copied().flatten(),
        problem: problem.as_ref().map(|problem| problem.document(None, None)),
    });
    json::json(&ReleaseResult { dry_run, items: rows.collect() })
}
