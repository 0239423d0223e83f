//! Resources that a plugin holds: `/plugins/{id}/spawned_pids`, `…/container_id`, `…/remote_resource`.
//!
//! Each write replies with the plugin after the change, so that clients see derived fields at once
//! (`has_active_resources`, `billable`, `revision`).

use axum::response::Response;
use serde_json::Value;

use crate::http::extract::body::{JsonBody, PatchBody};
use crate::http::extract::path::{PidPath, PluginPath};
use crate::http::extract::write::Write;
use crate::http::problem::Problem;
use domain::command::Command;
use domain::plugin::read::{ObjectReader, nullable};
use domain::plugin::{Invalid, Pids, RemoteResource, container_id};
use domain::record::PluginDocument;

/// The field that [`pids_of`] takes.
pub(crate) const PIDS_FIELD: &str = "spawned_pids";

/// The field that [`container_of`] takes.
pub(crate) const CONTAINER_FIELD: &str = "container_id";

/// Reads process ids.
pub(crate) fn pids_of(body: Value) -> Result<Pids, Invalid> {
    only_field(body, PIDS_FIELD, Pids::read)
}

/// Reads the id of a container; `None` for no container.
pub(crate) fn container_of(body: Value) -> Result<Option<String>, Invalid> {
    only_field(body, CONTAINER_FIELD, nullable(container_id::read))
}

/// Reads an object with one required field.
fn only_field<T>(body: Value, field: &str, read: impl FnOnce(Value, &str) -> Result<T, Invalid>) -> Result<T, Invalid> {
    let mut fields = ObjectReader::new(body, "", &[field], &[])?;
    let value = fields.required(field, read);
    fields.finish()?;
    value.ok_or_else(|| Invalid::at("", format!("{field} is required")))
}

/// Replace the process ids.
///
/// A process that the list no longer names, and that was seen alive, is left behind. DELETE releases a process.
#[utoipa::path(put, path = "/plugins/{id}/spawned_pids", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn replace_pids(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let pids = pids_of(body)?;
    write.run(Command::SetPids { id, pids }).await
}

/// Add process ids.
#[utoipa::path(post, path = "/plugins/{id}/spawned_pids", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn add_pids(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let pids = pids_of(body)?;
    write.run(Command::AddPids { id, pids }).await
}

/// Release the processes that the plugin names.
#[utoipa::path(delete, path = "/plugins/{id}/spawned_pids", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn clear_pids(PluginPath(id): PluginPath, write: Write) -> Result<Response, Problem> {
    write.run(Command::ReleasePids { id }).await
}

/// Release a process, also if it was left behind.
#[utoipa::path(delete, path = "/plugins/{id}/spawned_pids/{pid}", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn remove_pid(PidPath { id, pid }: PidPath, write: Write) -> Result<Response, Problem> {
    write.run(Command::RemovePid { id, pid }).await
}

/// Set the container id.
///
/// A container that was seen alive, and that the body no longer names, is left behind. DELETE releases a container.
#[utoipa::path(put, path = "/plugins/{id}/container_id", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn set_container(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let container_id = container_of(body)?;
    write.run(Command::SetContainer { id, container_id }).await
}

/// Release the container that the plugin names.
#[utoipa::path(delete, path = "/plugins/{id}/container_id", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn clear_container(PluginPath(id): PluginPath, write: Write) -> Result<Response, Problem> {
    write.run(Command::ReleaseContainer { id }).await
}

/// Replace the remote resource.
///
/// A resource with another id that may bill is left behind. DELETE releases a resource.
#[utoipa::path(put, path = "/plugins/{id}/remote_resource", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn set_remote(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(body): JsonBody<1>,
) -> Result<Response, Problem> {
    let remote = Box::new(RemoteResource::read(body, "")?);
    write.run(Command::SetRemote { id, remote }).await
}

/// Change some fields of the remote resource, for example its status.
///
/// The body is a JSON Merge Patch (RFC 7396): null clears a field, and absent fields keep their values.
#[utoipa::path(patch, path = "/plugins/{id}/remote_resource", tag = "runtime",
    responses((status = OK, description = "The plugin after the change", body = PluginDocument)))]
pub(crate) async fn patch_remote(
    PluginPath(id): PluginPath,
    write: Write,
    PatchBody(patch): PatchBody<1>,
) -> Result<Response, Problem> {
    write.run(Command::PatchRemote { id, patch }).await
}

/// Release the remote resource that the plugin names.
#[utoipa::path(delete, path = "/plugins/{id}/remote_resource", tag = "runtime", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn clear_remote(PluginPath(id): PluginPath, write: Write) -> Result<Response, Problem> {
    write.run(Command::ReleaseRemote { id }).await
}
