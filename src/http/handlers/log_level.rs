//! `/log-level`: the log level of this process.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::extract::body::JsonBody;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use domain::plugin::Invalid;
use domain::plugin::read::{ObjectReader, string};

/// The log level.
#[derive(Serialize, ToSchema)]
pub(crate) struct Level {
    /// The lowest level that is logged: off, error, warn, info, debug or trace. Comma-separated directives such as
    /// `target=debug` set the level of parts of the service.
    #[schema(examples("info", "warn,plugin_registry::http=debug"), min_length = 1, max_length = 1024)]
    level: String,
}

/// The fields that [`level_of`] takes.
pub(crate) const FIELDS: &[&str] = &["level"];

/// Reads the level that a client sends.
pub(crate) fn level_of(body: Value) -> Result<String, Invalid> {
    let mut fields = ObjectReader::new(body, "", FIELDS, &[])?;
    let level = fields.required("level", string);
    fields.finish()?;
    level.ok_or_else(|| Invalid::at("/level", "is required"))
}

/// Read the log level.
///
/// Applies to this process only. Requires the role `admin`.
#[utoipa::path(get, path = "/log-level", tag = "service", responses(
    (status = OK, description = "The level", body = Level),
))]
pub(crate) async fn read_level(State(api): State<Shared>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    Ok(json::json(&Level { level: api.log_level.get().to_string() }))
}

/// Set the log level.
///
/// Applies to this process only, until it ends. Requires the role `admin`.
#[utoipa::path(put, path = "/log-level", tag = "service", responses(
    (status = OK, description = "The level after the change", body = Level),
))]
pub(crate) async fn set_level(
    State(api): State<Shared>,
    params: Params,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let level = level_of(body)?;
    api.log_level.set(&level).map_err(|wrong| Invalid::at("/level", wrong.to_string()))?;
    Ok(json::json(&Level { level }))
}
