//! One held resource, or many: `/resources/release`, `/resources/{plugin}/{kind}/{resource_id}/…`.
//!
//! The path names a resource as `GET /resources` lists it. `?host=` names the host of one that its plugin left behind on
//! a former host.

use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::extract::body::JsonBody;
use crate::http::extract::path::ResourcePath;
use crate::http::extract::write::Write;
use crate::http::headers::revision_header;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::query::list_params::{HELD_ON, RELEASE, names};
use crate::http::reply::json;
use domain::Revision;
use domain::command::request::AcknowledgementTerms;
use domain::command::{Command, Refusal};
use domain::plugin::read::{ObjectReader, kind_of, nullable, one_of, string, time};
use domain::plugin::{Invalid, UniqueId};
use domain::record::{PluginDocument, ResourceKind, Slot};

/// The most resources that one request releases.
pub(crate) const MAX_RELEASED: usize = 1_000;

/// The longest reason, in characters.
pub(crate) const MAX_REASON: usize = 500;

/// The field that [`expiry_of`] takes.
pub(crate) const EXPIRY_FIELD: &str = "expires_at";

/// The fields that [`terms_of`] takes.
pub(crate) const ACKNOWLEDGEMENT_FIELDS: &[&str] = &["reason", "until"];

/// The fields that [`released`] takes.
pub(crate) const RELEASE_FIELDS: &[&str] = &["resources"];

/// The fields of one of them.
pub(crate) const RESOURCE_FIELDS: &[&str] = &["plugin", "kind", "id", "host"];

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

/// Reads the time until which a resource is meant to be held; null for no end.
pub(crate) fn expiry_of(body: Value) -> Result<Option<Timestamp>, Invalid> {
    let mut fields = ObjectReader::new(body, "", &[EXPIRY_FIELD], &[])?;
    let expires_at = fields.required(EXPIRY_FIELD, nullable(time));
    fields.finish()?;
    expires_at.ok_or_else(|| Invalid::at("/expires_at", "is required"))
}

/// Reads an acknowledgement.
pub(crate) fn terms_of(body: Value) -> Result<AcknowledgementTerms, Invalid> {
    let mut fields = ObjectReader::new(body, "", ACKNOWLEDGEMENT_FIELDS, &[])?;
    let reason = fields.required("reason", reason);
    let until = fields.required("until", time);
    fields.finish()?;
    // `finish` has refused a document without these fields.
    let (Some(reason), Some(until)) = (reason, until) else {
        return Err(Invalid::at("", "reason and until are required"));
    };
    Ok(AcknowledgementTerms { reason, until })
}

fn reason(value: Value, pointer: &str) -> Result<Box<str>, Invalid> {
    let text = string(value, pointer)?;
    if text.trim().is_empty() || text.chars().nth(MAX_REASON).is_some() || text.chars().any(char::is_control) {
        let detail = format!("must have 1 to {MAX_REASON} characters, without control characters");
        return Err(Invalid::at(pointer, detail));
    }
    Ok(text.into())
}

/// Reads the resources to release.
pub(crate) fn released(body: Value) -> Result<Vec<(UniqueId, Slot)>, Invalid> {
    let mut fields = ObjectReader::new(body, "", RELEASE_FIELDS, &[])?;
    let resources = fields.required("resources", resources);
    fields.finish()?;
    resources.ok_or_else(|| Invalid::at("/resources", "is required"))
}

fn resources(value: Value, pointer: &str) -> Result<Vec<(UniqueId, Slot)>, Invalid> {
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
pub(crate) fn resource(value: Value, pointer: &str) -> Result<(UniqueId, Slot), Invalid> {
    let mut fields = ObjectReader::new(value, pointer, RESOURCE_FIELDS, &[])?;
    let plugin = fields.required("plugin", string);
    let kind = fields.required("kind", one_of(ResourceKind::NAMES, ResourceKind::from_name));
    let id = fields.required("id", string);
    let host = fields.optional("host", nullable(string)).flatten();
    fields.finish()?;
    // `finish` has refused a document without these fields.
    let (Some(plugin), Some(kind), Some(id)) = (plugin, kind, id) else {
        return Err(Invalid::at(pointer, "plugin, kind and id are required"));
    };
    let slot = Slot { host: host.map(Into::into), ..Slot::new(kind, id) };
    Ok((UniqueId::from_client(&plugin), slot))
}

/// Release resources by name.
///
/// Ends each resource for its plugin, also one that was left behind. The registry stops nothing: stop the resource
/// first. `dry_run=true` only reports what would be released.
#[utoipa::path(post, path = "/resources/release", tag = "resources", responses(
    (status = OK, description = "The result for each resource", body = ReleaseResult),
))]
pub(crate) async fn release_resources(mut write: Write, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    let dry_run = write.take_params(&names(RELEASE))?.flag("dry_run")?.unwrap_or(false);
    let resources = released(body)?;
    let mut done = Vec::with_capacity(resources.len());
    for (plugin, slot) in resources {
        let result = release(&write, &plugin, slot.clone(), dry_run).await;
        done.push((plugin, slot, result));
    }
    let newest = done.iter().filter_map(|(_, _, result)| *result.as_ref().ok()?).max();
    let items = done.iter().map(|(plugin, Slot { kind, id, .. }, result)| ReleasedItem {
        plugin: plugin.clone(),
        kind: *kind,
        id: id.clone(),
        released: result.is_ok(),
        revision: result.as_ref().ok().copied().flatten(),
        problem: result.as_ref().err().map(|problem| problem.document(None, None)),
    });
    let mut response = json::json(&ReleaseResult { dry_run, items: items.collect() });
    response.headers_mut().extend(newest.map(revision_header));
    Ok(response)
}

/// Releases one of many resources; returns the revision of the plugin after that, unless the run is dry.
async fn release(write: &Write, plugin: &UniqueId, slot: Slot, dry_run: bool) -> Result<Option<Revision>, Problem> {
    let record = write.snapshot().state.plugin(plugin.as_str());
    let record = record.ok_or_else(|| Refusal::NotFound(plugin.clone()))?;
    let slot = record.named(slot);
    if !record.holds(&slot) {
        return Err(Refusal::NotHeld { id: plugin.clone(), slot }.into());
    }
    if dry_run {
        return Ok(None);
    }
    let outcome = write.submit_one(Command::Release { id: plugin.clone(), slots: vec![slot] }).await?;
    Ok(outcome.record.map(|record| record.revision))
}

/// Set until when a resource is meant to be held.
///
/// A tenth of the time before, and at most an hour before, the registry sends `resource.expires_soon`. After it, the
/// registry raises the finding `overdue`. It stops nothing.
#[utoipa::path(put, path = "/resources/{plugin}/{kind}/{resource_id}/expires_at", tag = "resources", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn set_expiry(
    ResourcePath { plugin, slot }: ResourcePath,
    mut write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let slot = named_slot(&mut write, &plugin, slot)?;
    let expires_at = expiry_of(body)?;
    write.run(Command::SetExpiry { id: plugin, slot, expires_at }).await
}

/// Remove the time until which a resource is meant to be held.
#[utoipa::path(delete, path = "/resources/{plugin}/{kind}/{resource_id}/expires_at", tag = "resources", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn clear_expiry(
    ResourcePath { plugin, slot }: ResourcePath,
    mut write: Write,
) -> Result<Response, Problem> {
    let slot = named_slot(&mut write, &plugin, slot)?;
    write.run(Command::SetExpiry { id: plugin, slot, expires_at: None }).await
}

/// Acknowledge the finding of a resource.
///
/// The finding stays visible. Until the end of the acknowledgement, no count, metric, webhook with the filter `finding`
/// and no exit code has it. Another finding about the same resource is news.
#[utoipa::path(put, path = "/resources/{plugin}/{kind}/{resource_id}/acknowledgement", tag = "resources", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
    (status = CONFLICT, description = "The resource has no finding"),
))]
pub(crate) async fn acknowledge_finding(
    ResourcePath { plugin, slot }: ResourcePath,
    mut write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let slot = named_slot(&mut write, &plugin, slot)?;
    let terms = terms_of(body)?;
    if terms.until <= write.now() {
        return Err(Invalid::at("/until", "must be in the future").into());
    }
    write.run(Command::Acknowledge { id: plugin, slot, terms }).await
}

/// End the acknowledgement of a finding.
#[utoipa::path(delete, path = "/resources/{plugin}/{kind}/{resource_id}/acknowledgement", tag = "resources", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn end_acknowledgement(
    ResourcePath { plugin, slot }: ResourcePath,
    mut write: Write,
) -> Result<Response, Problem> {
    let slot = named_slot(&mut write, &plugin, slot)?;
    write.run(Command::EndAcknowledgement { id: plugin, slot }).await
}

/// The slot that the path and `?host=` name.
fn named_slot(write: &mut Write, plugin: &UniqueId, slot: Slot) -> Result<Slot, Problem> {
    let host = write.take_params(&names(HELD_ON))?.single("host")?.map(Into::into);
    let slot = Slot { host, ..slot };
    let record = write.snapshot().state.plugin(plugin.as_str());
    Ok(record.map_or_else(|| slot.clone(), |record| record.named(slot.clone())))
}
