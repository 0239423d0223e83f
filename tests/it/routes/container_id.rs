//! PUT, DELETE /plugins/{id}/container_id.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Server, minimal};

const PATH: &str = "/plugins/transcription_whisper/container_id";

#[tokio::test]
async fn the_life_of_a_container() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let set = client.put(PATH, &json!({"container_id": "c0ffee"})).answers(200).await;
    assert_eq!((&set.json()["container_id"], &set.json()["has_active_resources"]), (&json!("c0ffee"), &json!(true)));
    assert_eq!(client.put(PATH, &json!({"container_id": "c0ffee"})).answers(200).await.etag(), set.etag());
    let empty = client.put(PATH, &json!({"container_id": ""})).answers(200).await;
    assert_eq!((&empty.json()["container_id"], &empty.json()["has_active_resources"]), (&json!(""), &json!(false)));
    let null = client.put(PATH, &json!({"container_id": null})).answers(200).await;
    assert_eq!(null.json()["container_id"], Value::Null);
    let cleared = client.delete(PATH).answers(200).await;
    assert_eq!((cleared.etag(), cleared.revision()), (null.etag(), 4), "there was nothing to clear");
}

#[rstest]
#[case::number(json!({"container_id": 12}), "/container_id")]
#[case::missing(json!({}), "/container_id")]
#[case::misspelt(json!({"container": "x"}), "/container")]
#[case::bare(json!("x"), "")]
#[tokio::test]
async fn an_invalid_container_id_is_refused(#[case] body: Value, #[case] pointer: &str) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let problem = refused_without_trace(&client, client.put(PATH, &body), 422).await;
    assert!(problem.pointers().contains(&pointer), "{}", problem.document);
}
