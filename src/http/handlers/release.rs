//! Many resources at once: `/resources/release`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::extract::body::OptionalJsonBody;
use crate::http::extract::write::Write;
use crate::http::headers::revision_header;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::query::list_params::{RELEASE, names};
use crate::http::query::params::{Params, bad};
use crate::http::query::resource_params::{RESOURCE_FILTERS, conditions};
use crate::http::reply::json;
use crate::http::state::{Api, Shared};
use domain::command::request::TagCondition;
use domain::command::{Command, Precondition, Refusal};
use domain::plugin::read::{ObjectReader, kind_of, nullable, one_of, string};
use domain::plugin::{Invalid, UniqueId};
use domain::query::ResourceQuery;
use domain::record::{ResourceKind, Slot};
use domain::{EntityTag, Revision};

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

/// A resource that a client names, to release it.
#[derive(Debug, Clone)]
pub(crate) struct NamedResource {
    plugin: UniqueId,
    slot: Slot,
    /// The revision that its plugin must have.
    if_revision: Option<Revision>,
}

/// Reads the resources to release.
pub(crate) fn released(body: Value) -> Result<Vec<NamedResource>, Invalid> {
    let mut fields = ObjectReader::new(body, "", RELEASE_FIELDS, &[])?;
    let resources = fields.required("resources", resources);
    fields.finish()?;
    resources.ok_or_else(|| Invalid::at("/resources", "is required"))
}

fn resources(value: Value, pointer: &str) -> Result<Vec<NamedResource>, Invalid> {
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
pub(crate) fn resource(value: Value, pointer: &str) -> Result<NamedResource, Invalid> {
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
    Ok(NamedResource { plugin: UniqueId::from_client(&plugin), slot, if_revision })
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
/// resources of a plugin are released together, in one revision. `dry_run=true` only reports what would be released.
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
    let resources = match body {
        Some(_) if !filters.is_empty() => {
            return Err(bad("send the resources in the body, or filters in the query; not both"));
        }
        Some(body) => released(body)?,
        None => selected(&api, &write, &filters)?,
    };
    let results = Release { write: &write, dry_run }.run(&resources).await;
    let newest = results.iter().filter_map(|result| *result.as_ref().ok()?).max();
    let items = resources.iter().zip(&results).map(|(resource, result)| ReleasedItem {
        plugin: resource.plugin.clone(),
        kind: resource.slot.kind,
        id: resource.slot.id.clone(),
        released: result.is_ok(),
        revision: result.as_ref().ok().copied().flatten(),
        problem: result.as_ref().err().map(|problem| problem.document(None, None)),
    });
    let mut response = json::json(&ReleaseResult { dry_run, items: items.collect() });
    response.headers_mut().extend(newest.map(revision_header));
    Ok(response)
}

/// The resources that filters select now.
fn selected(api: &Api, write: &Write, filters: &Params) -> Result<Vec<NamedResource>, Problem> {
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
    let named = |row: &domain::query::Resource| NamedResource {
        plugin: row.plugin.clone(),
        slot: row.key().slot(),
        if_revision: None,
    };
    Ok(page.items.iter().map(named).collect())
}

/// The result for a resource: the revision of its plugin after the release, unless the run is dry.
type Released = Result<Option<Revision>, Problem>;

/// A release of many resources.
struct Release<'a> {
    write: &'a Write,
    dry_run: bool,
}

impl Release<'_> {
    /// Releases the resources, those of a plugin in one revision.
    async fn run(&self, resources: &[NamedResource]) -> Vec<Released> {
        let mut results: Vec<Released> = Vec::with_capacity(resources.len());
        let mut plugins: BTreeMap<&UniqueId, Vec<(usize, Slot)>> = BTreeMap::new();
        for (index, resource) in resources.iter().enumerate() {
            let slot = self.held(resource);
            results.push(slot.as_ref().map(|_| None).map_err(Clone::clone));
            if let Ok(slot) = slot {
                plugins.entry(&resource.plugin).or_default().push((index, slot));
            }
        }
        if self.dry_run {
            return results;
        }
        for (plugin, held) in plugins {
            let is_bound =
                held.iter().any(|(index, _)| resources.get(*index).is_some_and(|one| one.if_revision.is_some()));
            let slots: std::collections::BTreeSet<Slot> = held.iter().map(|(_, slot)| slot.clone()).collect();
            let released = self.release(plugin, slots.into_iter().collect(), is_bound).await;
            for (index, _) in held {
                if let Some(result) = results.get_mut(index) {
                    result.clone_from(&released);
                }
            }
        }
        results
    }

    /// The slot of a resource that its plugin holds.
    fn held(&self, NamedResource { plugin, slot, if_revision }: &NamedResource) -> Result<Slot, Problem> {
        let record = self.write.snapshot().state.plugin(plugin.as_str());
        let record = record.ok_or_else(|| Refusal::NotFound(plugin.clone()))?;
        if if_revision.is_some_and(|wanted| wanted != record.revision) {
            return Err(Refusal::PreconditionFailed { current: Some(record.revision) }.into());
        }
        let slot = record.named(slot.clone());
        if record.holds(&slot) { Ok(slot) } else { Err(Refusal::NotHeld { id: plugin.clone(), slot }.into()) }
    }

    /// Releases resources of one plugin; with `is_bound`, only if the plugin has not changed since the request began.
    async fn release(&self, plugin: &UniqueId, slots: Vec<Slot>, is_bound: bool) -> Released {
        let revision = self.write.snapshot().state.revision_of(plugin).filter(|_| is_bound);
        let tag = |revision| EntityTag { store: self.write.store().clone(), revision };
        let if_match = revision.map(|revision| TagCondition::OneOf(vec![tag(revision)]));
        let precondition = Precondition { if_match, if_none_match: None };
        let command = Command::Release { id: plugin.clone(), slots };
        let outcome = self.write.submit_one_if(command, precondition).await?;
        Ok(outcome.record.map(|record| record.revision))
    }
}
