//! `/plugins/{id}/config`: a saved configuration, which obeys the plugin's `config_schema`.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::JsonBody;
use super::context::Now;
use super::params::Params;
use super::path::PluginPath;
use super::problem::{Kind, Problem};
use super::reply;
use super::write::Write;
use crate::plugin::{FieldError, FreeJson, Invalid, schema};
use crate::registry::{Command, PluginDocument, Precondition, Refusal};

/// Whether a configuration obeys its schema.
#[derive(Serialize, ToSchema)]
pub(super) struct Verdict {
    /// Whether it does.
    valid: bool,
    /// Where it does not.
    errors: Vec<FieldError>,
}

/// Read the saved configuration.
#[utoipa::path(get, path = "/plugins/{id}/config", tag = "config", responses(
    (status = OK, description = "The configuration, as it was saved", body = serde_json::Value),
    (status = NOT_MODIFIED, description = "The plugin has not changed since the given tag"),
))]
pub(super) async fn read_config(
    now: Now,
    PluginPath(id): PluginPath,
    params: Params,
    precondition: Precondition,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let record = now.state.plugin(id.as_str()).ok_or_else(|| Refusal::NotFound(id.clone()))?;
    let missing = || Problem::new(Kind::NotFound, format!("no configuration is saved for `{id}`"));
    let config = record.config.as_ref().ok_or_else(missing)?;
    let text = config.as_str().to_owned().into();
    reply::tagged(&now.tag(record.revision), &precondition, &now, || reply::json_bytes(text))
}

/// Save a configuration.
///
/// It is checked against the plugin's `config_schema`; when it obeys, it is saved, `is_configured`
/// becomes true, and the plugin is answered.
#[utoipa::path(put, path = "/plugins/{id}/config", tag = "config", request_body = serde_json::Value, responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(super) async fn save_config(
    PluginPath(id): PluginPath,
    write: Write,
    JsonBody(config): JsonBody,
) -> Result<Response, Problem> {
    write.run(Command::SaveConfig { id, config: FreeJson::from(&config) }).await
}

/// Delete the configuration; `is_configured` becomes false.
#[utoipa::path(delete, path = "/plugins/{id}/config", tag = "config", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(super) async fn delete_config(PluginPath(id): PluginPath, write: Write) -> Result<Response, Problem> {
    write.run(Command::DeleteConfig { id }).await
}

/// Check a configuration, and save nothing.
#[utoipa::path(post, path = "/plugins/{id}/config/validate", tag = "config", request_body = serde_json::Value, responses(
    (status = OK, description = "Whether the configuration obeys the plugin's schema", body = Verdict),
))]
pub(super) async fn validate_config(
    now: Now,
    PluginPath(id): PluginPath,
    params: Params,
    JsonBody(config): JsonBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let record = now.state.plugin(id.as_str()).ok_or(Refusal::NotFound(id))?;
    let schema = record.plugin.config_schema.to_value();
    let checked = tokio::task::spawn_blocking(move || schema::check_config(&config, &schema))
        .await
        .map_err(|_| Problem::new(Kind::Internal, "the check failed; the fault was logged"))?;
    let errors = checked.err().map(|Invalid(errors)| errors).unwrap_or_default();
    Ok(reply::json(&Verdict { valid: errors.is_empty(), errors }))
}
