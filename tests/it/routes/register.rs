//! POST /plugins.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, Trace, holding_everything, minimal, named};

#[tokio::test]
async fn a_new_plugin_is_created_at_its_location_with_every_default() {
    let server = Server::start().await;
    let client = server.client();
    let reply = client.register(&minimal()).await;
    assert_eq!(reply.header("location"), Some("/plugins/transcription_whisper"));
    assert_eq!((reply.revision(), &reply.json()["revision"]), (1, &json!(1)));
    assert_eq!(reply.etag(), format!("\"{}-1\"", reply.store()));
    let mut document = reply.json();
    for field in ["created_at", "updated_at"] {
        let time: jiff::Timestamp = document[field].take().as_str().unwrap().parse().expect("RFC 3339");
        assert!(time.as_second() > 1_600_000_000, "{time}");
    }
    assert_eq!(
        document,
        json!({
            "unique_id": "transcription_whisper", "name": "whisper", "category": "transcription", "title": "Title",
            "config_schema": {}, "description": null, "version": null, "is_configured": false,
            "execution_mode": "in_process", "manages_child_processes": false, "manages_external_resources": false,
            "spawned_pids": [], "container_id": null, "conda_env_name": null, "remote_resource": null,
            "host": null, "labels": {}, "lease_id": null,
            "is_local_execution": true, "is_cloud_execution": false, "has_active_resources": false,
            "billable": false, "status_class": null, "observed": null, "stop_requested": null,
            "stop_answer": null, "revision": 1, "created_at": null, "updated_at": null,
        })
    );
    assert_eq!(client.get("/plugins/transcription_whisper").answers(200).await.body, reply.body);
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_sent() {
    let server = Server::start().await;
    let body = holding_everything();
    let reply = server.client().register(&body).await.json();
    for (field, sent) in body.as_object().unwrap() {
        assert_eq!(&reply[field], sent, "{field}");
    }
    assert_eq!(
        [
            &reply["is_local_execution"],
            &reply["is_cloud_execution"],
            &reply["has_active_resources"],
            &reply["billable"]
        ],
        [false, true, true, true]
    );
}

#[tokio::test]
async fn the_same_registration_again_makes_no_revision() {
    let server = Server::start().await;
    let client = server.client();
    let first = client.register(&holding_everything()).await;
    let again = client.post("/plugins", &holding_everything()).answers(200).await;
    assert_eq!((first.body.clone(), first.etag(), 1), (again.body.clone(), again.etag(), again.revision()));
    assert!(again.header("location").is_none(), "nothing was created");
}

#[tokio::test]
async fn a_second_registration_replaces_the_description_and_keeps_resources() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    let reply = client.post("/plugins", &named("finetuning", "trainer")).answers(200).await;
    let document = reply.json();
    assert_eq!(reply.revision(), 2);
    for (field, value) in [
        ("title", json!("Title")),
        ("description", Value::Null),
        ("version", Value::Null),
        ("config_schema", json!({})),
        ("execution_mode", json!("in_process")),
        ("manages_child_processes", json!(false)),
        ("manages_external_resources", json!(false)),
        ("conda_env_name", Value::Null),
        ("labels", json!({})),
    ] {
        assert_eq!(document[field], value, "{field} describes, and is replaced");
    }
    for field in ["spawned_pids", "container_id", "remote_resource", "is_configured", "host", "lease_id"] {
        assert_eq!(document[field], holding_everything()[field], "{field} is kept unless it is named");
    }
}

#[tokio::test]
async fn a_second_registration_clears_resources_set_to_null_and_leaves_behind_what_bills() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    let mut release = named("finetuning", "trainer");
    release["spawned_pids"] = json!([]);
    for field in ["container_id", "remote_resource"] {
        release[field] = Value::Null;
    }
    release["is_configured"] = json!(false);
    let document = client.post("/plugins", &release).answers(200).await.json();
    assert_eq!([&document["has_active_resources"], &document["is_configured"]], [false; 2]);
    assert_eq!((&document["billable"], &document["observed"]["left_behind"]), (&json!(true), &json!(1)), "it bills on");
}

#[tokio::test]
async fn a_reply_can_be_sent_back_and_changes_nothing() {
    let server = Server::start().await;
    let client = server.client();
    let reply = client.register(&holding_everything()).await;
    let again = client.post("/plugins", &reply.json()).answers(200).await;
    assert_eq!((reply.body, 1), (again.body.clone(), again.revision()));
}

#[tokio::test]
async fn read_only_fields_are_ignored() {
    let server = Server::start().await;
    let mut body = minimal();
    for field in ["unique_id", "revision", "created_at", "updated_at", "observed", "billable"] {
        body[field] = json!({"anything": [1]});
    }
    body["is_local_execution"] = json!(false);
    body["has_active_resources"] = json!("yes");
    let document = server.client().register(&body).await.json();
    assert_eq!((&document["unique_id"], &document["revision"]), (&json!("transcription_whisper"), &json!(1)));
    assert_eq!([&document["is_local_execution"], &document["has_active_resources"]], [true, false]);
}

#[tokio::test]
async fn a_unique_id_that_two_pairs_make_belongs_to_the_first() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&named("a_b", "c")).await;
    let before = Trace::of(&client).await;
    for call in [client.post("/plugins", &named("a", "b_c")), client.put("/plugins/a_b_c", &named("a", "b_c"))] {
        let problem = call.refused(409).await;
        assert_eq!(problem.kind(), "unique-id-taken");
        assert!(problem.detail().contains("\"a_b\"") && problem.detail().contains("\"c\""), "{}", problem.detail());
    }
    assert_eq!(before, Trace::of(&client).await);
    // Once the first holder of the id is removed, the id is free.
    client.delete("/plugins/a_b_c").answers(204).await;
    assert_eq!(client.register(&named("a", "b_c")).await.json()["category"], "a");
}

#[tokio::test]
async fn numbers_and_key_order_of_free_json_come_back_as_sent() {
    let server = Server::start().await;
    let client = server.client();
    let free = r#"{"z":24.50,"a":1e+400,"m":123456789012345678901234567890,"n":-0,"e":1.50e-7,"f":0.1,"$serde_json::private::Number":"7","b":{"y":1.0,"x":[]}}"#;
    let body = format!(
        r#"{{"name":"n","category":"c","title":"T","config_schema":{{"x-free":{free}}},"remote_resource":{{"provider":"aws","metadata":{free},"estimated_cost_per_hour":24.50}}}}"#
    );
    let reply = client.request(Method::POST, "/plugins").body("application/json", body).answers(201).await;
    assert!(reply.text().contains(&format!("\"config_schema\":{{\"x-free\":{free}}}")), "{}", reply.text());
    assert!(reply.text().contains(&format!("\"metadata\":{free}")), "{}", reply.text());
    assert_eq!(reply.json()["remote_resource"]["estimated_cost_per_hour"].to_string(), "24.5");
    let config = client.request(Method::PUT, "/plugins/c_n/config").body("application/json", free);
    config.answers(200).await;
    assert_eq!(client.get("/plugins/c_n/config").answers(200).await.text(), free);
}

#[tokio::test]
async fn names_of_any_script_are_addressed_by_their_location() {
    let server = Server::start().await;
    let client = server.client();
    let long = "ß".repeat(256);
    for name in ["音声 認識", "a/b", "..", "100%", "%2F", "a+b?c#d", "🎙", "'\"<>", "a;b=c,d&e", long.as_str()] {
        let reply = client.register(&named("K ategorie/é", name)).await;
        let location = reply.header("location").unwrap().to_owned();
        let read = client.get(&location).answers(200).await;
        assert_eq!((read.body.clone(), &read.json()["name"]), (reply.body, &json!(name)), "{location}");
        client.delete(&location).answers(204).await;
        client.get(&location).refused(404).await;
    }
}

#[tokio::test]
async fn a_new_name_could_look_like_another_one() {
    let server = Server::start().await;
    let client = server.client();
    for (category, name, pointer) in
        [("c", "whisper\u{202e}", "/name"), ("c\u{200b}", "whisper", "/category"), ("c", "\u{2067}a\u{2069}", "/name")]
    {
        let refused = client.post("/plugins", &named(category, name)).refused(422).await;
        assert_eq!(refused.pointers(), [pointer]);
    }
    client.put("/categories/c", &json!({"display_name": "C\u{feff}"})).refused(422).await;
    client.post("/tokens", &json!({"name": "a\u{202e}", "role": "admin"})).refused(422).await;
    // Joiners are part of scripts and of emoji.
    client.register(&named("می\u{200c}خواهم", "\u{1f468}\u{200d}\u{1f467}")).await;
}

#[tokio::test]
async fn a_schema_of_an_older_draft_follows_its_own_rules() {
    let server = Server::start().await;
    let client = server.client();
    // `exclusiveMinimum: true` is draft 4; since draft 6 it is a number.
    let schema = |draft: &str| json!({"$schema": draft, "properties": {"n": {"minimum": 0, "exclusiveMinimum": true}}});
    let mut body = named("c", "draft4");
    body["config_schema"] = schema("http://json-schema.org/draft-04/schema#");
    client.register(&body).await;
    client.put("/plugins/c_draft4/config", &json!({"n": 0})).refused(422).await;
    client.put("/plugins/c_draft4/config", &json!({"n": 1})).answers(200).await;
    for draft in ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"] {
        body["config_schema"] = schema(draft);
        let problem = client.post("/plugins", &body).refused(422).await;
        assert_eq!(problem.pointers(), ["/config_schema/properties/n/exclusiveMinimum"], "{draft}");
    }
}

#[tokio::test]
async fn a_reference_to_the_network_or_the_disk_is_never_followed() {
    let server = Server::start().await;
    let client = server.client();
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"type": "string"}"#).unwrap();
    for target in [format!("http://{}/schema", trap.local_addr().unwrap()), format!("file://{}", file.path().display())]
    {
        for schema in [json!({"$ref": target}), json!({"$schema": target}), json!({"allOf": [{"$ref": target}]})] {
            let mut body = minimal();
            body["config_schema"] = schema;
            let problem = client.post("/plugins", &body).refused(422).await;
            assert!(problem.pointers()[0].starts_with("/config_schema"), "{}", problem.document);
        }
    }
    let called = tokio::time::timeout(std::time::Duration::ZERO, trap.accept()).await;
    assert!(called.is_err(), "the registry connected to the address of a $ref");
}

#[tokio::test]
async fn a_recursive_schema_is_accepted_and_an_endless_one_refused() {
    let server = Server::start().await;
    let client = server.client();
    let mut body = named("c", "tree");
    body["config_schema"] = json!({"properties": {"child": {"$ref": "#"}}, "additionalProperties": false});
    client.register(&body).await;
    client.put("/plugins/c_tree/config", &json!({"child": {"child": {}}})).answers(200).await;
    for endless in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
    ] {
        let mut body = named("c", "endless");
        body["config_schema"] = endless;
        client.post("/plugins", &body).refused(422).await;
    }
    let problem = client.put("/plugins/c_tree/config", &json!({"child": {"kid": 1}})).refused(422).await;
    assert!(problem.pointers()[0].starts_with("/child"), "{}", problem.document);
    // JSON Schema core, section 9.4.1: a schema must not lead to an infinite loop.
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"not": {"$ref": "#"}}]}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
    ] {
        body["config_schema"] = schema;
        let problem = client.post("/plugins", &body).refused(422).await;
        assert!(problem.pointers()[0].starts_with("/config_schema"), "{}", problem.document);
    }
}
