//! `/categories`: the categories of plugins, and their display names.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::extract::body::JsonBody;
use crate::http::extract::path::CategoryPath;
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::extract::write::Write;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::{LONG_SCAN, Shared};
use domain::command::{Command, Outcome, Precondition};
use domain::plugin::read::{ObjectReader, nullable, string};
use domain::plugin::{Invalid, Name};
use domain::query::stats::CategoryView;
use domain::{EntityTag, Revision};

/// A list of all categories.
#[derive(Serialize, ToSchema)]
pub(crate) struct CategoryList {
    /// The categories, sorted by name.
    items: Vec<CategoryView>,
    /// The revision that the list was made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// The fields that [`display_name_of`] takes.
pub(crate) const FIELDS: &[&str] = &["display_name"];

/// Further fields of replies. Requests may have them too, and the registry ignores them.
pub(crate) const READ_ONLY: &[&str] = &["name", "plugins"];

/// Reads a display name; `None` restores the name that the registry derives.
pub(crate) fn display_name_of(body: Value) -> Result<Option<String>, Invalid> {
    let mut fields = ObjectReader::new(body, "", FIELDS, READ_ONLY)?;
    let display_name = fields.required("display_name", nullable(string));
    fields.finish()?;
    let display_name = display_name.flatten();
    let check = |name: &str| Name::new(name)?.require_visible();
    if let Some(Err(detail)) = display_name.as_deref().map(check) {
        return Err(Invalid::at("/display_name", detail));
    }
    Ok(display_name)
}

/// List the categories that are in use or have a display name.
#[utoipa::path(get, path = "/categories", tag = "categories", responses(
    (status = OK, description = "The categories", body = CategoryList),
    (status = NOT_MODIFIED, description = "Nothing has changed since the given tag"),
))]
pub(crate) async fn list_categories(
    now: Now,
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    params: Params,
    precondition: Precondition,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let snapshot = Arc::clone(&now);
    let is_long = now.state.indexes().categories().nth(LONG_SCAN).is_some();
    let list = move || {
        let state = &snapshot.state;
        json::text_of(&CategoryList { items: CategoryView::all(state), revision: state.revision() })
    };
    let text = if is_long { api.registry.scans().run(caller, move |_| Ok(list())).await? } else { list() };
    json::of_snapshot(&now, &precondition, || json::json_bytes(text))
}

/// Set the display name of a category.
#[utoipa::path(put, path = "/categories/{name}", tag = "categories", responses(
    (status = OK, description = "The category after the change", body = CategoryView),
))]
pub(crate) async fn name_category(
    CategoryPath(name): CategoryPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let display_name = display_name_of(body)?;
    let command = Command::NameCategory { name: name.clone(), display_name: display_name.map(Into::into) };
    let store = write.store().clone();
    let make = move |outcome: &Outcome| {
        let Some(state) = &outcome.state else { return StatusCode::NO_CONTENT.into_response() };
        let mut response = json::json(&CategoryView::of(state, &name));
        if let Some(named) = state.named_categories().get(&name) {
            json::tag(&mut response, &EntityTag { store: store.clone(), revision: named.revision }.to_string());
        }
        response
    };
    write.run_for(command, make).await
}
