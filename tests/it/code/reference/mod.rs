//! The pages of docs/reference that are generated: what the program says about itself, as Markdown.
//!
//! | file | page | its source |
//! |---|---|---|
//! | [`endpoints`] | endpoints.md | the description of the API, and the table of operations |
//! | [`fields`] | fields.md | the schemas of the description, and the domain's own rules |
//! | [`settings`] | settings.md | the command line |
//! | [`metrics`] | metrics.md | `/metrics` of the real binary |
//! | [`problems`] | problems.md | the table of problems |
//! | [`schema`], [`markdown`] | | what the pages have in common |
//!
//! A page that differs from its source fails the test. `RENEW_REFERENCE` in the environment writes the pages instead.

mod endpoints;
mod fields;
mod markdown;
mod metrics;
mod problems;
mod schema;
mod settings;

use std::path::Path;

use plugin_registry::http::router::description;

const RENEW: &str = "RENEW_REFERENCE=1 cargo test --test it code::reference";

/// Compares a page with what it must be, or writes it.
fn check(name: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("RENEW_REFERENCE").is_some() {
        std::fs::write(&path, wanted).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    if page == wanted {
        return;
    }
    let differs = page.lines().zip(wanted.lines()).position(|(is, should)| is != should);
    let line = differs.unwrap_or_else(|| page.lines().count().min(wanted.lines().count()));
    panic!(
        "docs/reference/{name} is stale from line {} on; renew it with\n\n    {RENEW}\n\nthe page:   {}\nthe source: {}\n",
        line + 1,
        page.lines().nth(line).unwrap_or("(its end)"),
        wanted.lines().nth(line).unwrap_or("(its end)"),
    );
}

#[test]
fn the_page_of_endpoints_is_that_of_the_description() {
    check("endpoints.md", &endpoints::page(&description()));
}

#[test]
fn the_page_of_fields_is_that_of_the_schemas() {
    check("fields.md", &fields::page(&description()));
}

#[test]
fn the_page_of_settings_is_that_of_the_command_line() {
    check("settings.md", &settings::page());
}

#[tokio::test]
async fn the_page_of_metrics_is_what_the_binary_exposes() {
    check("metrics.md", &metrics::page().await);
}

#[test]
fn the_page_of_problems_is_that_of_their_table() {
    check("problems.md", &problems::page());
}
