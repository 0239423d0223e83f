//! The description of the API: OpenAPI 3.1, made from the handlers, and completed with what they
//! have in common.
//!
//! The handlers say what is particular to them (`#[utoipa::path]`). What is the same for many is
//! added here, once, from the tables that the code itself uses: [`parameters`] from the list
//! parameters, [`request_bodies`] from the table of operations, [`requests`] from the readers of
//! documents, [`responses`] from what surrounds every request. [`schemas`] are those of replies.

#![expect(clippy::indexing_slicing, reason = "indexing a JSON value by a key makes the entry, and never panics")]

mod parameters;
mod request_bodies;
pub mod requests;
mod responses;
mod schemas;
mod security;

use std::sync::OnceLock;

use axum::response::Response;
use axum::{Extension, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::operations::OPERATIONS;
use crate::http::reply::json;
use crate::http::state::Shared;

/// Read this description.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses(
    (status = OK, description = "The description of this API (OpenAPI 3.1)", body = Value),
))]
pub async fn read_openapi(Extension(Description(make)): Extension<Description>) -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| make().to_string().into());
    json::json_bytes(text.clone())
}

/// What makes the description, for its handler. The router hands it in, because it knows all handlers, this one among them.
#[derive(Clone, Copy)]
pub struct Description(pub fn() -> Value);

/// The API browser at `/docs`, served from this binary: no request leaves the service.
pub fn browser() -> Router<Shared> {
    SwaggerUi::new("/docs").config(Config::new(["/openapi.json"])).into()
}

/// Completes a description that was gathered from the handlers.
pub fn complete(mut api: Value) -> Value {
    api["info"] = json!({
        "title": "plugin-registry",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Knows what every plugin of an application is, what it holds right now, and whether that is still true.",
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    });
    api["tags"] = json!([
        {"name": "plugins", "description": "Register, list, read, change and remove plugins"},
        {"name": "runtime", "description": "What a plugin holds: processes, a container, a remote resource"},
        {"name": "config", "description": "Saved configurations, checked against the plugin's JSON Schema"},
        {"name": "categories", "description": "Kinds of plugins and their display names"},
        {"name": "events", "description": "What has changed: as a list, live, and by plugin"},
        {"name": "resources", "description": "Everything that is held, as rows"},
        {"name": "costs", "description": "What plugins cost by their declared prices, and budgets"},
        {"name": "leases", "description": "Who holds them, and whether they live"},
        {"name": "webhooks", "description": "Changes, told by HTTP requests that this service makes"},
        {"name": "access", "description": "Tokens: who may use the service, and for what"},
        {"name": "service", "description": "Counts, health, and this description"},
    ]);
    api["components"]["headers"] = responses::headers();
    api["components"]["securitySchemes"] = security::schemes();
    let schemas = &mut api["components"]["schemas"];
    requests::complete_filters(schemas);
    requests::complete(schemas);
    schemas::complete(schemas);
    for operation in OPERATIONS {
        let described = &mut api["paths"][operation.path][operation.method.to_ascii_lowercase()];
        parameters::complete(operation, described);
        request_bodies::complete(operation, described);
        security::complete(operation, described);
        responses::complete(operation, described);
    }
    api
}
