//! `/plugins/{id}/config`: saved configurations, validated against the plugin's `config_schema`.

use axum::extract::State;
use axum::response::Response;
use hyper::header::{CACHE_CONTROL, HeaderValue, VARY};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::body::JsonBody;
use crate::http::extract::path::PluginPath;
use crate::http::extract::principal::RequestPrincipal;
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::extract::write::Write;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use crate::registry::fair_pool::Turn;
use domain::command::authorization::may_see_secrets;
use domain::command::{Command, Precondition, Refusal};
use domain::plugin::{FieldError, FreeJson, Invalid, schema, secrets};
use domain::record::PluginDocument;

/// The result of validating a configuration.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// Whether the configuration is valid.
    valid: bool,
    /// The invalid parts of the configuration.
    errors: Vec<FieldError>,
}

/// Read the saved configuration.
///
/// Properties that the schema marks by `writeOnly: true` or `format: password` are masked (`********`). Admins and
/// callers that may change the plugin see the real values.
#[utoipa::path(get, path = "/plugins/{id}/config", tag = "config", responses(
    (status = OK, description = "The saved configuration", body = serde_json::Value),
    (status = NOT_MODIFIED, description = "The plugin has not changed since the given tag"),
))]
pub(crate) async fn read_config(
    now: Now,
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    RequestWorkCaller(caller): RequestWorkCaller,
    PluginPath(id): PluginPath,
    params: Params,
    precondition: Precondition,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let record = now.state.plugin(id.as_str()).ok_or_else(|| Refusal::NotFound(id.clone()))?;
    let missing = || Problem::new(Kind::NotFound, format!("no configuration is saved for `{id}`"));
    let config = record.config.as_ref().ok_or_else(missing)?;
    let text = if may_see_secrets(&principal, &now.state, &record.plugin) {
        config.as_str().to_owned()
    } else {
        let (config, schema) = (config.clone(), record.plugin.config_schema.clone());
        let mask = move |_: &Turn<'_>| Ok(secrets::masked(&config.to_value(), &schema.to_value()).to_string());
        api.registry.checks().run(caller, mask).await?
    };
    let make = || json::json_bytes(text.into());
    let mut response = json::tagged(&now.tag(record.revision), &precondition, &now, make)?;
    let headers = response.headers_mut();
    // The reply may hold secrets, and depends on the caller.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    Ok(response)
}

/// Save a configuration.
///
/// The registry validates the configuration against the plugin's `config_schema`. If valid, the registry saves the
/// configuration, sets `is_configured`, and returns the plugin. The mask `********` in place of a secret is refused.
#[utoipa::path(put, path = "/plugins/{id}/config", tag = "config", responses(
    (status = OK, description = "The plugin after the change", body = PluginDocument),
))]
pub(crate) async fn save_config(
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
pub(crate) async fn delete_config(PluginPath(id): PluginPath, write: Write) -> Result<Response, Problem> {
    write.run(Command::DeleteConfig { id }).await
}

/// Validate a configuration without saving it.
#[utoipa::path(post, path = "/plugins/{id}/config/validate", tag = "config", responses(
    (status = OK, description = "The result of the validation", body = Verdict),
))]
pub(crate) async fn validate_config(
    now: Now,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    PluginPath(id): PluginPath,
    params: Params,
    JsonBody(config): JsonBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let record = now.state.plugin(id.as_str()).ok_or(Refusal::NotFound(id))?;
    let schema = record.plugin.config_schema.to_value();
    let check = move |_: &Turn<'_>| Ok(schema::check_config(&config, &schema));
    let checked = api.registry.checks().run(caller, check).await?;
    let errors = checked.err().map(|Invalid(errors)| errors).unwrap_or_default();
    Ok(json::json(&Verdict { valid: errors.is_empty(), errors }))
}
