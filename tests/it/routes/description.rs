//! GET /openapi.json and /docs.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Client, Server, blocking};
use plugin_registry::http::query::list_params::{COST_LIST, PLUGIN_LIST, READ_OPTIONS, REMOVAL, names};
use plugin_registry::http::query::resource_params::RESOURCE_LIST;

async fn description() -> Value {
    Server::in_memory().await.client().get("/openapi.json").answers(200).await.json()
}

/// Every operation, with its method and path.
fn operations(description: &Value) -> Vec<(String, &Value)> {
    let paths = description["paths"].as_object().expect("paths");
    let methods = ["get", "put", "post", "patch", "delete"];
    paths
        .iter()
        .flat_map(|(path, item)| {
            methods.iter().filter_map(move |method| Some((format!("{method} {path}"), item.get(*method)?)))
        })
        .collect()
}

fn parameters<'a>(operation: &'a Value, place: &str) -> BTreeSet<&'a str> {
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    parameters
        .iter()
        .filter(|parameter| parameter["in"] == place)
        .filter_map(|parameter| parameter["name"].as_str())
        .collect()
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_has_every_route() {
    let description = description().await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."), "{}", description["openapi"]);
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let described: BTreeSet<_> = operations(&description).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "delete /budgets/{budget_id}",
        "delete /leases/{lease_id}",
        "delete /plugins/{id}",
        "delete /plugins/{id}/config",
        "delete /plugins/{id}/container_id",
        "delete /plugins/{id}/remote_resource",
        "delete /plugins/{id}/spawned_pids",
        "delete /plugins/{id}/spawned_pids/{pid}",
        "delete /tokens/{token_id}",
        "delete /webhooks/{webhook_id}",
        "get /backup",
        "get /budgets",
        "get /budgets/{budget_id}",
        "get /categories",
        "get /costs",
        "get /events",
        "get /events/counts",
        "get /healthz",
        "get /hosts",
        "get /leases",
        "get /leases/{lease_id}",
        "get /log-level",
        "get /metrics",
        "get /openapi.json",
        "get /plugins",
        "get /plugins/{id}",
        "get /plugins/{id}/config",
        "get /plugins/{id}/history",
        "get /readyz",
        "get /resources",
        "get /resources/spans",
        "get /stats",
        "get /tokens",
        "get /tokens/{token_id}",
        "get /webhooks",
        "get /webhooks/{webhook_id}",
        "get /whoami",
        "patch /budgets/{budget_id}",
        "patch /plugins/{id}",
        "patch /plugins/{id}/remote_resource",
        "patch /webhooks/{webhook_id}",
        "post /budgets",
        "post /leases",
        "post /observations",
        "post /plugins",
        "post /plugins/{id}/config/validate",
        "post /plugins/{id}/notes",
        "post /plugins/{id}/stop_request",
        "put /plugins/{id}/stop_request/answer",
        "post /plugins/{id}/spawned_pids",
        "post /resources/release",
        "put /resources/{plugin}/{kind}/{resource_id}/expires_at",
        "delete /resources/{plugin}/{kind}/{resource_id}/expires_at",
        "put /resources/{plugin}/{kind}/{resource_id}/acknowledgement",
        "delete /resources/{plugin}/{kind}/{resource_id}/acknowledgement",
        "post /tokens",
        "post /webhooks",
        "post /webhooks/{webhook_id}/test",
        "put /categories/{name}",
        "put /leases/{lease_id}",
        "put /log-level",
        "put /plugins/{id}",
        "put /plugins/{id}/config",
        "put /plugins/{id}/container_id",
        "put /plugins/{id}/remote_resource",
        "put /plugins/{id}/spawned_pids",
    ];
    assert_eq!(described, expected.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn every_operation_has_a_summary_and_its_errors() {
    let description = description().await;
    for (name, operation) in operations(&description) {
        assert!(operation["operationId"].is_string(), "{name}");
        assert!(operation["summary"].is_string(), "{name}");
        let responses = operation["responses"].as_object().expect("responses");
        let problem = |response: &Value| response["content"].get("application/problem+json").is_some();
        let documented = |status: &str| {
            let found = responses.get(status).or_else(|| responses.get(&format!("{}XX", &status[..1])));
            found.or_else(|| responses.get("default")).is_some_and(problem)
        };
        for status in ["400", "406", "503"] {
            assert!(documented(status), "{name} does not say that it may answer {status}");
        }
        if name.contains("{id}") {
            assert!(documented("404"), "{name} does not say that it may answer 404");
        }
        if operation.get("requestBody").is_some() {
            for status in ["413", "415", "422", "408"] {
                assert!(documented(status), "{name} does not say that it may answer {status}");
            }
        }
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
        }
    }
}

#[tokio::test]
async fn every_accepted_parameter_is_described() {
    let description = description().await;
    let of = |path: &str, method: &str, place| parameters(&description["paths"][path][method], place);
    let expected = |table| names(table).into_iter().filter(|name| !name.ends_with('.')).collect::<BTreeSet<_>>();
    assert!(of("/plugins", "get", "query").is_superset(&expected(PLUGIN_LIST)), "{:?}", of("/plugins", "get", "query"));
    assert!(of("/resources", "get", "query").is_superset(&expected(RESOURCE_LIST)));
    for path in ["/plugins", "/plugins/{id}", "/resources", "/stats"] {
        assert!(of(path, "get", "query").is_superset(&expected(READ_OPTIONS)), "{path}");
    }
    assert!(of("/costs", "get", "query").is_superset(&expected(COST_LIST)));
    assert!(of("/plugins/{id}", "delete", "query").is_superset(&expected(REMOVAL)));
    assert!(of("/plugins/{id}", "put", "header").contains("If-Match"));
    for (name, operation) in operations(&description) {
        let in_path: BTreeSet<_> = name.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        assert_eq!(parameters(operation, "path"), in_path, "{name}");
    }
}

#[tokio::test]
async fn every_body_is_described_with_the_media_types_that_are_taken() {
    let server = Server::in_memory().await;
    let client = server.client();
    let description = client.get("/openapi.json").answers(200).await.json();
    for (name, operation) in operations(&description) {
        let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
        let (method, path) = name.split_once(' ').unwrap();
        let path = path
            .replace("{kind}", "process")
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let method = method.to_uppercase().parse().unwrap();
        let problem = client.request(method, &path).body("text/x-other", "x").refused(415).await;
        let detail = problem.document["detail"].as_str().unwrap().to_owned();
        // A body of lines is told by its media type, and all else read as one document.
        for media_type in content.keys().filter(|media_type| *media_type != "application/x-ndjson") {
            assert!(detail.contains(media_type), "{name} does not take {media_type}: {detail}");
        }
        assert_eq!(
            detail.contains("merge-patch"),
            content.contains_key("application/merge-patch+json"),
            "{name}: {detail}"
        );
    }
}

#[tokio::test]
async fn every_reference_of_the_description_resolves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let description = description().await;
    let mut found = Vec::new();
    references(&description, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        assert!(description.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

/// A page or script of the API browser; they are stored compressed.
async fn part(client: &Client, path: &str, media_type: &str) -> String {
    let reply = client.get(path).answers(200).await;
    assert!(reply.header("content-type").unwrap().contains(media_type), "{path}: {:?}", reply.headers);
    if reply.header("content-encoding") != Some("gzip") {
        return reply.text().to_owned();
    }
    let unpacked = blocking(move || {
        let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = gzip.stdin.take().unwrap();
        let writing = std::thread::spawn(move || stdin.write_all(&reply.body));
        let output = gzip.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        output.stdout
    });
    String::from_utf8(unpacked.await).unwrap()
}

#[tokio::test]
async fn the_api_browser_loads_nothing_from_other_hosts() {
    let server = Server::in_memory().await;
    let client = server.client();
    let moved = client.get("/docs").send().await;
    assert!(moved.status.is_redirection(), "{}", moved.status);
    let page = part(&client, moved.header("location").unwrap(), "text/html").await;
    for elsewhere in ["src=\"http", "href=\"http", "src=\"//", "@import"] {
        assert!(!page.contains(elsewhere), "{page}");
    }
    let scripts: Vec<_> = page.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(scripts.len() >= 2, "{page}");
    for script in scripts {
        part(&client, &format!("/docs/{}", script.trim_start_matches("./")), "javascript").await;
    }
    let setup = part(&client, "/docs/swagger-initializer.js", "javascript").await;
    assert!(setup.contains("/openapi.json"), "{setup}");
    client.get("/docs/nothing-here").refused(404).await;
}
