//! The API keeps the promises of "Upgrading": its description is compared with that of the last release.
//!
//! | file | idea |
//! |---|---|
//! | [`operations`] | compares paths, parameters, bodies and responses |
//! | [`schemas`] | whether one schema accepts everything that another accepts |

mod operations;
mod schemas;

use std::path::{Path, PathBuf};

use operations::breaks;
use rstest::rstest;
use serde_json::{Value, json};

use plugin_registry::http::router::description;

/// The descriptions of releases, `openapi-VERSION.json`; the newest is the baseline.
fn last_release() -> (String, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compatibility");
    let version_of = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("openapi-")?.strip_suffix(".json")?;
        let numbers: Option<Vec<u64>> = name.split('.').map(|number| number.parse().ok()).collect();
        Some((numbers?, name.to_owned()))
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let newest = files.filter_map(|path| Some((version_of(&path)?, path))).max();
    let ((_, version), path) = newest.expect("there is a release");
    (version, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

/// Breaks that a release makes on purpose; the changelog names each of them.
const DELIBERATE: &[&str] = &[
    // A search with hundreds of long texts takes minutes, and people type none.
    "q: maxItems is 16",
    "q[]: maxLength is 256",
];

/// The leading version number up to which clients may expect compatibility (Semantic Versioning 2.0.0).
fn generation(version: &str) -> Vec<&str> {
    let numbers: Vec<_> = version.split('.').collect();
    let kept = if numbers[0] == "0" { 2 } else { 1 };
    numbers[..kept].to_vec()
}

#[test]
fn the_api_is_compatible_with_the_last_release() {
    let (version, released) = last_release();
    if generation(&version) != generation(env!("CARGO_PKG_VERSION")) {
        // The new version may break compatibility.
        return;
    }
    let mut breaks = breaks(&released, &description());
    breaks.retain(|found| !DELIBERATE.iter().any(|known| found.ends_with(known)));
    assert!(breaks.is_empty(), "clients of {version} would notice:\n{}", breaks.join("\n"));
}

/// A small API with one write and one read.
fn api() -> Value {
    json!({
        "paths": {"/things/{id}": {
            "get": {
                "parameters": [{"name": "fields", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {
                    "headers": {"ETag": {"schema": {"type": "string"}}},
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                }, "404": {"description": "none"}},
            },
            "put": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingRequest"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
            },
        }},
        "components": {"schemas": {
            "Thing": {
                "type": "object",
                "required": ["name", "size", "kind"],
                "properties": {
                    "name": {"type": "string"},
                    "size": {"type": "integer"},
                    "kind": {"enum": ["a", "b"]},
                    "host": {"type": ["string", "null"]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                },
            },
            "ThingRequest": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string", "maxLength": 256},
                    "kind": {"enum": ["a", "b"]},
                    "size": {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "flag": {"enum": [true, false, "true", "false"]},
                    "filters": {
                        "type": "object", "properties": {"size": {"type": "integer"}},
                        "patternProperties": {"^label": {"type": "string"}}, "additionalProperties": false,
                    },
                },
            },
        }},
    })
}

const PUT: &str = "/paths/~1things~1{id}/put";
const GET: &str = "/paths/~1things~1{id}/get";
const THING: &str = "/components/schemas/Thing";
const REQUEST: &str = "/components/schemas/ThingRequest";

/// A change of the API, by JSON Patch (RFC 6902).
fn changed(patch: Value) -> Value {
    let mut api = api();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    json_patch::patch(&mut api, &patch).unwrap();
    api
}

fn add(place: &str, path: &str, value: Value) -> Value {
    json!([{"op": "add", "path": format!("{place}{path}"), "value": value}])
}

/// The filters of a request, with labels as additional properties.
fn filters(names: Value, pattern: &str, values: &str) -> Value {
    json!({
        "type": "object", "properties": {"size": {"type": "integer"}}, "additionalProperties": {"type": values},
        "propertyNames": {"anyOf": [{"enum": names}, {"pattern": pattern}]},
    })
}

fn remove(place: &str, path: &str) -> Value {
    json!([{"op": "remove", "path": format!("{place}{path}")}])
}

#[rstest]
#[case::no_path(remove("/paths", "/~1things~1{id}"), "GET /things/{id}: is gone")]
#[case::no_method(remove(PUT, ""), "PUT /things/{id}: is gone")]
#[case::no_parameter(remove(GET, "/parameters/0"), "the query parameter fields is gone")]
#[case::a_parameter_is_required(add(GET, "/parameters/0/required", json!(true)), "the query parameter fields is required")]
#[case::a_new_parameter_is_required(
    add(GET, "/parameters/-", json!({"name": "x", "in": "query", "required": true, "schema": {}})),
    "the query parameter x is required"
)]
#[case::a_parameter_takes_less(add(GET, "/parameters/0/schema/enum", json!(["a"])), "fields: takes only")]
#[case::a_body_is_required(add(PUT, "/requestBody/required", json!(true)), "the body is required")]
#[case::no_media_type(remove(PUT, "/requestBody/content/application~1json"), "takes no application/json")]
#[case::no_answer(remove(GET, "/responses/200"), "does not answer 200")]
#[case::no_header(remove(GET, "/responses/200/headers/ETag"), "200: the header field ETag is gone")]
#[case::no_form(remove(GET, "/responses/200/content/application~1json"), "200: gives no application/json")]
#[case::no_field(remove(THING, "/properties/size"), "200: size: is gone")]
#[case::a_field_may_be_missing(remove(THING, "/required/1"), "200: size: may be missing")]
#[case::a_field_has_another_type(add(THING, "/properties/size/type", json!("string")), "200: size: is a string")]
#[case::a_field_may_be_null(add(THING, "/properties/name/type", json!(["string", "null"])), "200: name: is a null")]
#[case::the_parts_differ(add(THING, "/properties/parts/items", json!({"type": "string"})), "200: parts[]: is a string")]
#[case::a_new_field_is_required(add(REQUEST, "/required/-", json!("kind")), "body: kind: is required")]
#[case::a_field_is_refused(remove(REQUEST, "/properties/labels"), "body: labels: is refused")]
#[case::an_enum_is_narrower(remove(REQUEST, "/properties/kind/enum/0"), "body: kind: takes only")]
#[case::a_type_is_narrower(remove(REQUEST, "/properties/size/oneOf/1"), "body: size")]
#[case::less_fits(add(REQUEST, "/properties/name/maxLength", json!(100)), "body: name: maxLength is 100")]
#[case::a_limit_is_new(add(REQUEST, "/properties/name/minLength", json!(1)), "body: name: minLength is 1")]
#[case::a_pattern_is_new(add(REQUEST, "/properties/name/pattern", json!("^a")), "body: name: pattern is")]
#[case::values_are_narrower(
    add(REQUEST, "/properties/labels/additionalProperties/type", json!("integer")),
    "body: labels.*: is a string"
)]
#[case::a_flag_takes_no_text(add(REQUEST, "/properties/flag", json!({"anyOf": [{"type": "boolean"}]})), "body: flag")]
#[case::fewer_names_fit(
    add(REQUEST, "/properties/filters", filters(json!(["other"]), "^label", "string")),
    "body: filters: propertyNames is"
)]
#[case::another_pattern_of_names(
    add(REQUEST, "/properties/filters", filters(json!(["size"]), "^tag", "string")),
    "body: filters: propertyNames is"
)]
#[case::other_values_of_a_pattern(
    add(REQUEST, "/properties/filters", filters(json!(["size"]), "^label", "integer")),
    "body: filters.^label: is a string"
)]
fn what_clients_would_notice_is_found(#[case] patch: Value, #[case] what: &str) {
    let breaks = breaks(&api(), &changed(patch));
    assert!(breaks.iter().any(|line| line.contains(what)), "{what}: {breaks:#?}");
}

#[rstest]
#[case::nothing(json!([]))]
#[case::a_path(add("/paths", "/~1others", json!({"get": {"responses": {}}})))]
#[case::a_parameter(add(GET, "/parameters/-", json!({"name": "x", "in": "query", "schema": {}})))]
#[case::an_error(add(GET, "/responses/429", json!({})))]
#[case::an_error_less(remove(GET, "/responses/404"))]
#[case::a_field_in_answers(add(THING, "/properties/more", json!({"type": "string"})))]
#[case::a_field_that_is_always_there(add(THING, "/required/-", json!("host")))]
#[case::a_kind_in_answers(add(THING, "/properties/kind/enum/-", json!("c")))]
#[case::no_null_in_answers(add(THING, "/properties/host/type", json!("string")))]
#[case::a_field_in_requests(add(REQUEST, "/properties/more", json!({"type": "string"})))]
#[case::a_field_that_may_be_left_out(remove(REQUEST, "/required/0"))]
#[case::a_kind_in_requests(add(REQUEST, "/properties/kind/enum/-", json!("c")))]
#[case::more_fits(add(REQUEST, "/properties/name/maxLength", json!(512)))]
#[case::no_limit(remove(REQUEST, "/properties/name/maxLength"))]
#[case::another_form(add(REQUEST, "/properties/name", json!({"oneOf": [{"type": "string"}, {"type": "integer"}]})))]
#[case::a_flag_in_other_words(
    add(REQUEST, "/properties/flag", json!({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^(true|false)$"}]}))
)]
#[case::names_in_other_words(add(REQUEST, "/properties/filters", filters(json!(["size", "more"]), "^label", "string")))]
#[case::words(add(THING, "/properties/name/description", json!("Something else.")))]
fn changes_that_no_client_notices_are_compatible(#[case] patch: Value) {
    assert_eq!(breaks(&api(), &changed(patch)), [""; 0]);
}
