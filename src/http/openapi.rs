//! The description of the API: OpenAPI 3.1, made from the handlers, and completed here with what
//! they have in common.

use std::sync::OnceLock;

use axum::Router;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::list_params::{DEFAULT_LIMIT, MAX_LIMIT, PLUGIN_LIST, Parameter, REMOVAL, RESOURCE_LIST, Values};
use super::problem::ProblemDocument;
use super::reply;
use super::router::Api;
use crate::registry::PluginDocument;
use crate::registry::sort::SortField;

/// A merge patch of a plugin: any of the fields of a registration but name and category.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct PluginPatch(Value);

/// A merge patch of a remote resource: any of its fields.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct RemoteResourcePatch(Value);

/// A remote resource as it is sent: all but `provider` may be left out.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes the request, which is read by hand")]
pub struct RemoteResourceRequest(Value);

/// Read this description.
#[utoipa::path(get, path = "/openapi.json", tag = "description", responses(
    (status = OK, description = "The description of this API (OpenAPI 3.1)", body = Value),
))]
pub async fn read_openapi() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| serde_json::to_vec(&super::router::description()).unwrap_or_default().into());
    reply::json_bytes(text.clone())
}

/// The API browser at `/docs`, served from this binary: no request leaves the service.
pub fn browser() -> Router<Api> {
    SwaggerUi::new("/docs").config(Config::new(["/openapi.json"])).into()
}

/// Completes the description with what all operations have in common.
pub fn complete(api: OpenApi) -> OpenApi {
    api
}
