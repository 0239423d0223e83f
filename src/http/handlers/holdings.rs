//! One held resource: `/resources/{plugin}/{kind}/{resource_id}/…`.
//!
//! The path names a resource as `GET /resources` lists it. `?host=` names the host of one that its plugin left behind on
//! a former host.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;

use crate::http::extract::body::JsonBody;
use crate::http::extract::path::ResourcePath;
use crate::http::extract::write::Write;
use crate::http::problem::Problem;
use crate::http::query::list_params::{HELD_ON, names};
use domain::command::Command;
use domain::command::request::AcknowledgementTerms;
use domain::plugin::Invalid;
use domain::plugin::read::{ObjectReader, line, nullable, time};
use domain::record::{PluginDocument, Slot};

/// The longest reason, in characters.
pub(crate) const MAX_REASON: usize = 500;

/// The field that [`expiry_of`] takes.
pub(crate) const EXPIRY_FIELD: &str = "expires_at";

/// The fields that [`terms_of`] takes.
pub(crate) const ACKNOWLEDGEMENT_FIELDS: &[&str] = &["reason", "until"];

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
    let reason = fields.required("reason", line(MAX_REASON));
    let until = fields.required("until", time);
    fields.finish()?;
    // `finish` has refused a document without these fields.
    let (Some(reason), Some(until)) = (reason, until) else {
        return Err(Invalid::at("", "reason and until are required"));
    };
    Ok(AcknowledgementTerms { reason, until })
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
    let slot = named_slot(&mut write, slot)?;
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
    let slot = named_slot(&mut write, slot)?;
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
    let slot = named_slot(&mut write, slot)?;
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
    let slot = named_slot(&mut write, slot)?;
    write.run(Command::EndAcknowledgement { id: plugin, slot }).await
}

/// The slot that the path and `?host=` name.
fn named_slot(write: &mut Write, slot: Slot) -> Result<Slot, Problem> {
    let host = write.take_params(&names(HELD_ON))?.single("host")?.map(Into::into);
    Ok(Slot { host, ..slot })
}
