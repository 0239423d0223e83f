//! GET, HEAD, PUT, PATCH and DELETE /plugins/{id}.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Server, Trace, holding_everything, minimal, named};

const PATH: &str = "/plugins/transcription_whisper";

#[tokio::test]
async fn an_unknown_plugin_is_a_404_for_every_method() {
    let server = Server::start().await;
    let client = server.client();
    let body = json!({"title": "x"});
    let calls = [
        client.get("/plugins/nobody"),
        client.head("/plugins/nobody"),
        client.patch("/plugins/nobody", &body),
        client.delete("/plugins/nobody"),
        client.delete("/plugins/nobody?force=true"),
        client.put("/plugins/nobody/spawned_pids", &json!({"spawned_pids": []})),
        client.post("/plugins/nobody/spawned_pids", &json!({"spawned_pids": [1]})),
        client.delete("/plugins/nobody/spawned_pids"),
        client.delete("/plugins/nobody/spawned_pids/1"),
        client.put("/plugins/nobody/container_id", &json!({"container_id": null})),
        client.delete("/plugins/nobody/container_id"),
        client.put("/plugins/nobody/remote_resource", &json!({"provider": "aws"})),
        client.patch("/plugins/nobody/remote_resource", &json!({"status": "running"})),
        client.delete("/plugins/nobody/remote_resource"),
        client.get("/plugins/nobody/config"),
        client.put("/plugins/nobody/config", &json!({})),
        client.delete("/plugins/nobody/config"),
        client.post("/plugins/nobody/config/validate", &json!({})),
    ];
    for call in calls {
        let reply = call.answers(404).await;
        if !reply.body.is_empty() {
            assert!(reply.problem().detail().contains("nobody"), "{}", reply.text());
        }
        assert_eq!(reply.revision(), 0);
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    for path in [
        PATH,
        "/plugins",
        "/plugins?fields=name",
        "/stats",
        "/categories",
        "/resources",
        "/healthz",
        "/readyz",
        "/openapi.json",
    ] {
        let get = client.get(path).answers(200).await;
        let head = client.head(path).answers(200).await;
        assert!(head.body.is_empty(), "{path}");
        for name in ["content-type", "etag", "registry-revision", "registry-store"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        if let Some(length) = head.header("content-length") {
            assert_eq!(length.parse(), Ok(get.body.len()), "{path}");
        }
    }
}

#[tokio::test]
async fn put_registers_at_the_address() {
    let server = Server::start().await;
    let client = server.client();
    let created = client.put(PATH, &minimal()).answers(201).await;
    assert_eq!(created.header("location"), Some(PATH));
    assert_eq!(client.put(PATH, &minimal()).answers(200).await.revision(), 1);
    client.put("/plugins/transcription_whisper/spawned_pids", &json!({"spawned_pids": [5]})).answers(200).await;
    let mut changed = minimal();
    changed["title"] = json!("New");
    let reply = client.put(PATH, &changed).answers(200).await;
    assert_eq!((&reply.json()["title"], &reply.json()["spawned_pids"]), (&json!("New"), &json!([5])));
    assert_eq!(reply.json()["created_at"], created.json()["created_at"]);
}

#[tokio::test]
async fn put_of_another_plugin_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let problem = refused_without_trace(&client, client.put(PATH, &named("transcription", "other")), 409).await;
    assert_eq!(problem.kind(), "identity-fixed");
    assert!(problem.detail().contains("transcription_other"), "{}", problem.detail());
}

#[tokio::test]
async fn patch_sets_clears_and_keeps() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    let patch = json!({
        "title": "New", "description": null, "is_configured": null, "execution_mode": "docker",
        "labels": {"team": null, "stage": "live", "new": "x"},
        "remote_resource": {"status": "stopped", "region": null, "metadata": {"z": null, "b": 2}},
    });
    let after = client.patch("/plugins/finetuning_trainer", &patch).answers(200).await.json();
    assert_eq!(after["title"], "New");
    assert_eq!((&after["description"], &after["is_configured"]), (&Value::Null, &json!(false)));
    assert_eq!(after["labels"], json!({"stage": "live", "new": "x"}));
    assert_eq!(after["remote_resource"]["status"], "stopped");
    assert_eq!(after["remote_resource"]["region"], Value::Null);
    assert_eq!(after["remote_resource"]["metadata"].to_string(), r#"{"a":[null,true],"b":2}"#);
    assert_eq!(after["remote_resource"]["gpu_count"], 8);
    for field in ["version", "spawned_pids", "container_id", "host", "lease_id", "config_schema", "conda_env_name"] {
        assert_eq!(after[field], holding_everything()[field], "{field} was not in the patch");
    }
    assert_eq!([&after["is_local_execution"], &after["billable"]], [true, false]);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_makes_no_revision() {
    let server = Server::start().await;
    let client = server.client();
    let first = client.register(&holding_everything()).await;
    for patch in [json!({}), json!({"title": "Trainer", "name": "trainer"}), json!({"revision": 99, "billable": false})]
    {
        let reply = client.patch("/plugins/finetuning_trainer", &patch).answers(200).await;
        assert_eq!((reply.etag(), reply.body), (first.etag(), first.body.clone()));
    }
}

#[tokio::test]
async fn a_patch_may_come_as_plain_json() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let reply = client.request(Method::PATCH, PATH).json(&json!({"version": "2"})).answers(200).await;
    assert_eq!(reply.json()["version"], "2");
}

#[rstest]
#[case::name(json!({"name": "other"}), 409, Some("/name"))]
#[case::name_null(json!({"name": null}), 409, Some("/name"))]
#[case::category(json!({"category": "other", "title": "x"}), 409, Some("/category"))]
#[case::required_cleared(json!({"title": null}), 422, Some("/title"))]
#[case::schema_cleared(json!({"config_schema": null}), 422, Some("/config_schema"))]
#[case::unknown(json!({"spawned_pid": [1]}), 422, Some("/spawned_pid"))]
#[case::unknown_null(json!({"spawned_pid": null}), 422, Some("/spawned_pid"))]
#[case::unknown_below(json!({"remote_resource": {"provider": "aws", "stat": "x"}}), 422, Some("/remote_resource/stat"))]
#[case::half_a_remote(json!({"remote_resource": {"status": "running"}}), 422, Some("/remote_resource/provider"))]
#[case::no_schema(json!({"config_schema": {"type": "strin"}}), 422, Some("/config_schema/type"))]
#[case::array(json!([]), 422, Some(""))]
#[case::null(json!(null), 422, Some(""))]
#[tokio::test]
async fn a_patch_that_breaks_a_rule_is_refused(
    #[case] patch: Value,
    #[case] status: u16,
    #[case] pointer: Option<&str>,
) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let problem = refused_without_trace(&client, client.patch(PATH, &patch), status).await;
    assert_eq!(problem.pointers().first().copied(), pointer, "{}", problem.document);
}

#[tokio::test]
async fn patch_of_the_identity_names_the_field() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    for field in ["name", "category"] {
        let problem = client.patch(PATH, &json!({field: "other"})).refused(409).await;
        assert_eq!(problem.kind(), "identity-fixed");
        assert!(problem.detail().contains(field), "{}", problem.detail());
        assert_eq!(problem.pointers(), [format!("/{field}")], "the problem points at the field");
    }
}

#[tokio::test]
async fn a_registration_after_delete_starts_from_scratch() {
    let server = Server::start().await;
    let client = server.client();
    let first = client.register(&minimal()).await;
    client.put("/plugins/transcription_whisper/config", &json!({"a": 1})).answers(200).await;
    let gone = client.delete(PATH).answers(204).await;
    assert_eq!(gone.revision(), 3);
    client.get(PATH).refused(404).await;
    client.delete(PATH).refused(404).await;
    let again = client.register(&minimal()).await;
    assert_eq!(again.revision(), 4);
    assert_ne!(again.etag(), first.etag(), "a revision is never used twice");
    assert_eq!(again.json()["is_configured"], false);
    client.get("/plugins/transcription_whisper/config").refused(404).await;
}

#[rstest]
#[case::process(json!({"spawned_pids": [1]}), "process", true)]
#[case::container(json!({"container_id": "c0ffee"}), "container", true)]
#[case::running(json!({"remote_resource": {"provider": "aws", "status": "running"}}), "running", true)]
#[case::provisioning(json!({"remote_resource": {"provider": "aws", "status": "provisioning"}}), "provisioning", true)]
#[case::stopping(json!({"remote_resource": {"provider": "aws", "status": "stopping"}}), "stopping", true)]
#[case::stopped(json!({"remote_resource": {"provider": "aws", "status": "stopped"}}), "", false)]
#[case::unknown(json!({"remote_resource": {"provider": "aws"}}), "", false)]
#[case::other_spelling(json!({"remote_resource": {"provider": "aws", "status": "Running"}}), "Running", true)]
#[case::other_word(json!({"remote_resource": {"provider": "aws", "status": "odd", "job_id": "j"}}), "odd", true)]
#[case::other_word_without_id(json!({"remote_resource": {"provider": "aws", "status": "odd"}}), "", false)]
#[case::empty_container(json!({"container_id": ""}), "", false)]
#[tokio::test]
async fn delete_of_a_plugin_with_resources_needs_force(#[case] held: Value, #[case] word: &str, #[case] kept: bool) {
    let server = Server::start().await;
    let client = server.client();
    let mut body = minimal();
    json_patch::merge(&mut body, &held);
    client.register(&body).await;
    if !kept {
        client.delete(PATH).answers(204).await;
        return;
    }
    for query in ["", "?force=false"] {
        let problem = refused_without_trace(&client, client.delete(&format!("{PATH}{query}")), 409).await;
        assert_eq!(problem.kind(), "still-held");
        assert!(problem.detail().contains(word) && problem.detail().contains("force=true"), "{}", problem.detail());
    }
    client.delete(&format!("{PATH}?force=true")).answers(204).await;
    client.get(PATH).refused(404).await;
}

#[tokio::test]
async fn a_document_that_grew_by_patches_can_still_be_sent_back() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let text = "x".repeat(900 * 1024);
    // The registry either bounds what it stores, or accepts what it returns.
    for field in ["title", "description", "version"] {
        let reply = client.patch(PATH, &json!({field: text})).send().await;
        assert!([200, 413, 422].contains(&reply.status.as_u16()), "{}", reply.status);
    }
    let reply = client.get(PATH).answers(200).await;
    let before = Trace::of(&client).await;
    client.put(PATH, &reply.json()).answers(200).await;
    assert_eq!(before, Trace::of(&client).await);
}

#[tokio::test]
async fn a_path_with_broken_escapes_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    for path in ["/plugins/%zz", "/plugins/%", "/plugins/%ff", "/plugins/a%00b", "/plugins/a%0Ab", "/categories/%C3"] {
        let call =
            if path.starts_with("/cat") { client.put(path, &json!({"display_name": "x"})) } else { client.get(path) };
        assert_eq!(call.refused(400).await.kind(), "bad-request", "{path}");
    }
}

#[tokio::test]
async fn a_path_or_a_method_that_does_not_exist_is_a_problem_too() {
    let server = Server::start().await;
    let client = server.client();
    for path in ["/plugin", "/plugins/a/b", "/plugins/a/config/x", "/PLUGINS"] {
        assert_eq!(client.get(path).refused(404).await.kind(), "not-found", "{path}");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/plugins", &["GET", "HEAD", "POST"][..]),
        (Method::POST, PATH, &["GET", "HEAD", "PUT", "PATCH", "DELETE"]),
        (Method::GET, "/plugins/a/spawned_pids", &["PUT", "POST", "DELETE"]),
        (Method::GET, "/plugins/a/spawned_pids/1", &["DELETE"]),
        (Method::POST, "/plugins/a/container_id", &["PUT", "DELETE"]),
        (Method::GET, "/plugins/a/remote_resource", &["PUT", "PATCH", "DELETE"]),
        (Method::POST, "/plugins/a/config", &["GET", "HEAD", "PUT", "DELETE"]),
        (Method::GET, "/plugins/a/config/validate", &["POST"]),
        (Method::POST, "/categories", &["GET", "HEAD"]),
        (Method::GET, "/categories/a", &["PUT"]),
        (Method::POST, "/stats", &["GET", "HEAD"]),
        (Method::DELETE, "/resources", &["GET", "HEAD"]),
        (Method::OPTIONS, "/healthz", &["GET", "HEAD"]),
        (Method::from_bytes(b"BREW").unwrap(), "/readyz", &["GET", "HEAD"]),
        (Method::PUT, "/openapi.json", &["GET", "HEAD"]),
    ] {
        let problem = client.request(method.clone(), path).refused(405).await;
        assert_eq!(problem.kind(), "method-not-allowed");
        let allow = problem.headers["allow"].to_str().unwrap();
        let mut told: Vec<_> = allow.split(',').map(str::trim).collect();
        let mut expected = allowed.to_vec();
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_by_writes_too() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let calls = [
        client.get(&format!("{PATH}?x=1")),
        client.delete(&format!("{PATH}?forse=true")),
        client.delete(&format!("{PATH}?force=yes")),
        client.delete(&format!("{PATH}?force=")),
        client.put(&format!("{PATH}?dry_run=true"), &minimal()),
        client.patch(&format!("{PATH}?dry_run=true"), &json!({"title": "New"})),
        client.post("/plugins?dry_run=true", &named("a", "b")),
        client.put(&format!("{PATH}/container_id?dry_run=true"), &json!({"container_id": "x"})),
        client.put("/categories/x?dry_run=true", &json!({"display_name": "x"})),
    ];
    for call in calls {
        assert_eq!(refused_without_trace(&client, call, 400).await.kind(), "bad-parameter");
    }
}
