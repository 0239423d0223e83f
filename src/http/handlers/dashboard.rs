//! `/` and `/ui/…`: the dashboard's page, and the files that it loads.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::StatusCode;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, VARY,
};

use crate::dashboard::{Content, Dashboard, File};
use crate::http::problem::Problem;
use crate::http::state::Shared;

/// The routes of the dashboard; none if it is off.
pub fn routes(dashboard: &Dashboard) -> Router<Shared> {
    if *dashboard == Dashboard::Off {
        return Router::new();
    }
    Router::new().route("/", get(read_page)).route("/ui/{hash}/{*path}", get(read_file))
}

async fn read_page(State(api): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    let dashboard = api.dashboard.clone();
    reply(&read(move || dashboard.page()).await?, &headers)
}

async fn read_file(
    State(api): State<Shared>,
    Path((hash, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let dashboard = api.dashboard.clone();
    reply(&read(move || dashboard.file(&hash, &path)).await?, &headers)
}

/// Reads a file on a thread for blocking work: it may be one of a folder.
async fn read(find: impl FnOnce() -> Option<File> + Send + 'static) -> Result<File, Problem> {
    let found = tokio::task::spawn_blocking(find).await.ok().flatten();
    found.ok_or_else(|| Problem::of_status(StatusCode::NOT_FOUND))
}

fn reply(file: &File, asked: &HeaderMap) -> Result<Response, Problem> {
    // Weak, because the compressed form and the plain one have it in common.
    let tag = format!("W/\"{}\"", file.hash);
    let known = has(asked, &IF_NONE_MATCH, |known| known == tag || known == "*");
    let mut response = match (known, &file.content) {
        (true, _) => StatusCode::NOT_MODIFIED.into_response(),
        (false, Content::Gzip(bytes)) if accepts_gzip(asked) => {
            let mut response = Body::from(bytes.clone()).into_response();
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        (false, content) => {
            let plain = content.plain().map_err(|_| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR))?;
            Body::from(plain).into_response()
        }
    };
    let headers = response.headers_mut();
    if !known {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let kept = if file.is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    Ok(response)
}

fn accepts_gzip(asked: &HeaderMap) -> bool {
    has(asked, &ACCEPT_ENCODING, |coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// Whether an element of a list in a header field is what `is_it` looks for.
fn has(headers: &HeaderMap, name: &HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|element| is_it(element.trim()))
}
