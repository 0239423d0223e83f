//! /webhooks: create, list, change and remove. `webhook_deliveries` tests the deliveries.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::server::{Server, Setup};
use crate::harness::trace::refused_without_trace;
use crate::harness::{Daemon, minimal};

const URL: &str = "https://example.com/hook";

/// The document of a response without the times, which differ.
fn settled(mut document: Value) -> Value {
    for field in ["id", "created_at", "updated_at", "secret"] {
        document.as_object_mut().unwrap().shift_remove(field);
    }
    document
}

#[tokio::test]
async fn a_webhook_is_made_listed_read_and_removed() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    assert_eq!(client.get("/webhooks").answers(200).await.json(), json!({"items": [], "revision": 1}));
    let made = client.post("/webhooks", &json!({"url": URL, "description": "mine"})).answers(201).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/webhooks/{id}");
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!(
        settled(made.json()),
        json!({
            "url": URL, "format": "standard", "description": "mine", "filters": {}, "kinds": [], "enabled": true, "state": "delivering",
            "position": 1, "lag": 0, "failures": 0, "first_failed_at": null, "next_attempt_at": null,
            "last_error": null, "last_status": null, "last_delivered_at": null, "parked_at": null,
        })
    );
    let read = client.get(&path).answers(200).await.json();
    assert_eq!(client.get("/webhooks").answers(200).await.items(), std::slice::from_ref(&read));
    assert_eq!(settled(read), settled(made.json()));
    client.delete(&path).answers(204).await;
    client.get(&path).refused(404).await;
    client.delete(&path).refused(404).await;
    client.patch(&path, &json!({})).refused(404).await;
    client.request(reqwest::Method::POST, &format!("{path}/test")).refused(404).await;
    assert_eq!(client.get("/webhooks").answers(200).await.items(), Vec::<Value>::new());
}

#[tokio::test]
async fn the_secret_is_shown_once_and_never_again() {
    let server = Server::start().await;
    let client = server.client();
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for body in [json!({"url": URL}), json!({"url": URL, "secret": own})] {
        let made = client.post("/webhooks", &body).answers(201).await.json();
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_"), "{secret}");
        assert_eq!(body.get("secret").is_some(), secret == own);
        let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
        let patch = json!({"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"});
        for reply in [
            client.get(&path).answers(200).await,
            client.get("/webhooks").answers(200).await,
            client.patch(&path, &json!({"description": "d"})).answers(200).await,
            client.patch(&path, &patch).answers(200).await,
        ] {
            assert!(!reply.text().contains("whsec_") && !reply.text().contains("secret"), "{}", reply.text());
        }
    }
}

#[tokio::test]
async fn a_secret_and_an_address_are_never_logged() {
    let folder = tempfile::TempDir::new().unwrap();
    let flags = ["--webhooks-allow-private", "--log-level", "trace"];
    let daemon = Daemon::start_with(&folder.path().join("registry.db"), &flags).await;
    let client = daemon.client();
    // No process listens on port 1.
    let body = json!({"url": "http://127.0.0.1:1/t0ken", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    let made = client.post("/webhooks", &body).answers(201).await.json();
    let test = format!("/webhooks/{}/test", made["id"].as_str().unwrap());
    let tried = client.request(reqwest::Method::POST, &test).answers(200).await.json();
    assert_eq!((tried["delivered"].as_bool(), tried["status"].as_u64()), (Some(false), None));
    assert!(tried["error"].as_str().unwrap().contains("refused"), "{tried}");
    client.post("/webhooks", &json!({"url": URL, "secret": "whsec_MfKQ9r8GKYqr"})).refused(422).await;
    daemon.signal(rustix::process::Signal::TERM);
    let (status, log) = daemon.exit().await;
    assert!(status.success(), "{log}");
    assert!(!log.contains("MfKQ9r8GKYqr") && !log.contains("t0ken"), "{log}");
}

#[tokio::test]
async fn a_patch_changes_only_the_named_fields() {
    let server = Server::start().await;
    let client = server.client();
    let body = json!({"url": URL, "filters": {"active": true, "category": ["a", "b"]}, "kinds": ["plugin.removed"]});
    let made = client.post("/webhooks", &body).answers(201).await.json();
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let patch = json!({"filters": {"active": null, "label.team": "speech"}, "enabled": false});
    let patched = client.patch(&path, &patch).answers(200).await.json();
    assert_eq!(patched["filters"], json!({"category": ["a", "b"], "label.team": "speech"}));
    assert_eq!((&patched["state"], &patched["kinds"]), (&json!("disabled"), &json!(["plugin.removed"])));
    assert!(patched["updated_at"].as_str() >= made["updated_at"].as_str());
    assert_eq!(client.get(&path).answers(200).await.json(), patched);
    // A reply can be sent back.
    assert_eq!(client.patch(&path, &patched).answers(200).await.json()["filters"], patched["filters"]);
    let resumed = client.patch(&path, &json!({"enabled": true})).answers(200).await.json();
    assert_eq!(resumed["state"], "delivering");
}

#[rstest]
#[case::no_url(json!({}), "/url")]
#[case::no_string(json!({"url": 1}), "/url")]
#[case::scheme(json!({"url": "ftp://example.com/"}), "/url")]
#[case::user(json!({"url": "https://me:secret@example.com/"}), "/url")]
#[case::loopback(json!({"url": "http://127.0.0.1:8080/plugins"}), "/url")]
#[case::localhost(json!({"url": "http://localhost/"}), "/url")]
#[case::loopback_v6(json!({"url": "http://[::1]/"}), "/url")]
#[case::mapped(json!({"url": "http://[::ffff:127.0.0.1]/"}), "/url")]
#[case::decimal(json!({"url": "http://2130706433/"}), "/url")]
#[case::hexadecimal(json!({"url": "http://0x7f000001/"}), "/url")]
#[case::private(json!({"url": "http://10.0.0.1/"}), "/url")]
#[case::metadata(json!({"url": "http://169.254.169.254/latest/meta-data/"}), "/url")]
#[case::filter(json!({"url": URL, "filters": {"activ": true}}), "/filters/activ")]
#[case::filter_value(json!({"url": URL, "filters": {"provider": ["acme"]}}), "/filters/provider")]
#[case::filter_of_a_list(json!({"url": URL, "filters": {"limit": 1}}), "/filters/limit")]
#[case::kind(json!({"url": URL, "kinds": ["plugin.eaten"]}), "/kinds/0")]
#[case::secret(json!({"url": URL, "secret": "hunter2"}), "/secret")]
#[case::future(json!({"url": URL, "after": 1}), "/after")]
#[case::misspelt(json!({"url": URL, "filter": {}}), "/filter")]
#[case::description(json!({"url": URL, "description": "x".repeat(1025)}), "/description")]
#[case::bare(json!([URL]), "")]
#[tokio::test]
async fn an_invalid_webhook_is_refused(#[case] body: Value, #[case] pointer: &str) {
    let server = Server::in_memory().await;
    let client = server.client();
    let problem = refused_without_trace(&client, client.post("/webhooks", &body), 422).await;
    assert!(problem.pointers().contains(&pointer), "{}", problem.document);
    assert_eq!(client.get("/webhooks").answers(200).await.items(), Vec::<Value>::new());
    // Nor can a valid webhook be changed into one.
    if !pointer.is_empty() && body.get("url").is_some() {
        let made = client.post("/webhooks", &json!({"url": URL})).answers(201).await.json();
        let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
        assert!(client.patch(&path, &body).refused(422).await.pointers().contains(&pointer));
        assert_eq!(settled(client.get(&path).answers(200).await.json()), settled(made));
    }
}

#[tokio::test]
async fn there_are_a_hundred_at_most() {
    let server = Server::in_memory().await;
    let client = server.client();
    let body = json!({"url": URL, "enabled": false});
    for _ in 0..100 {
        client.post("/webhooks", &body).answers(201).await;
    }
    let problem = client.post("/webhooks", &body).refused(409).await;
    assert_eq!(problem.kind(), "too-many-webhooks");
    let items = client.get("/webhooks").answers(200).await.items();
    client.delete(&format!("/webhooks/{}", items[0]["id"].as_str().unwrap())).answers(204).await;
    client.post("/webhooks", &body).answers(201).await;
}

#[tokio::test]
async fn parameters_are_refused() {
    let server = Setup::in_memory().start().await;
    let client = server.client();
    client.get("/webhooks?active=true").refused(400).await;
    client.post("/webhooks?x=1", &json!({"url": URL})).refused(400).await;
    client.get("/webhooks/1?x=1").refused(400).await;
}
