//! The golden vectors: documents with the answers of the source model.

use serde_json::Value;

use crate::harness::Server;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/examples.json")).unwrap()
}

#[tokio::test]
async fn every_request_gives_the_source_models_document_and_answers() {
    let vectors = vectors();
    let plugins = vectors["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 5);
    let server = Server::start().await;
    let client = server.client();
    for vector in plugins {
        let reply = client.register(&vector["request"]).await.json();
        for (field, value) in vector["metadata"].as_object().unwrap() {
            assert_eq!(&reply[field], value, "{}: {field}", reply["unique_id"]);
        }
        let derived = &vector["derived"];
        assert_eq!(reply["unique_id"], derived["id"]);
        assert_eq!(reply["is_local_execution"], derived["is_local"]);
        assert_eq!(reply["is_cloud_execution"], derived["is_cloud"]);
        assert_eq!(reply["has_active_resources"], derived["has_active_resources"]);
        assert_eq!(reply["config_schema"].to_string(), vector["metadata"]["config_schema"].to_string(), "key order");
    }
}

#[tokio::test]
async fn the_source_models_whole_document_is_a_registration_too() {
    let server = Server::start().await;
    let client = server.client();
    for vector in vectors()["plugins"].as_array().unwrap() {
        let first = client.register(&vector["request"]).await;
        let whole = client.post("/plugins", &vector["metadata"]).answers(200).await;
        assert_eq!(whole.etag(), first.etag(), "the full document says the same as the short one");
    }
}

#[tokio::test]
async fn the_statistics_match_the_source_model() {
    let vectors = vectors();
    let server = Server::start().await;
    let client = server.client();
    for vector in vectors["plugins"].as_array().unwrap() {
        client.register(&vector["request"]).await;
    }
    let stats = client.get("/stats").answers(200).await.json();
    for (field, value) in vectors["stats"].as_object().unwrap() {
        assert_eq!(&stats[field], value, "{field}");
    }
    let active = client.get("/plugins?active=true").answers(200).await;
    assert_eq!(active.json()["total"], vectors["stats"]["with_active_resources"]);
}
