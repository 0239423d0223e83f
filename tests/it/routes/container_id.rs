//! PUT, DELETE /plugins/{id}/container_id.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::simulated_server::{SimulatedServer, text};
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
#[case::end_of_line(json!({"container_id": "4c01db0b339c\n"}), "/container_id")]
#[case::blank(json!({"container_id": " web"}), "/container_id")]
#[case::inner_blank(json!({"container_id": "my web"}), "/container_id")]
#[tokio::test]
async fn an_invalid_container_id_is_refused(#[case] body: Value, #[case] pointer: &str) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let problem = refused_without_trace(&client, client.put(PATH, &body), 422).await;
    assert!(problem.pointers().contains(&pointer), "{}", problem.document);
}

#[tokio::test]
async fn an_end_of_line_in_a_registration_was_taken() {
    let server = Server::start().await;
    let client = server.client();
    let mut plugin = minimal();
    plugin["container_id"] = json!("4c01db0b339c\n");
    let problem = refused_without_trace(&client, client.post("/plugins", &plugin), 422).await;
    assert!(problem.pointers().contains(&"/container_id"), "{}", problem.document);
}

#[rstest]
#[case::of_a_name("/web", "web", &["web", "/web", "podman://web"])]
#[case::with_a_scheme("docker://4c01db0b339c4c01db0b339c", "4c01db0b339c4c01db0b339c", &["4c01db0b339c", "4C01DB0B339C"])]
#[case::in_capitals("4C01DB0B339C", "4c01db0b339c", &["4c01db0b339c", "containerd://4c01db0b339c4c01", "4C01DB0B339C"])]
#[tokio::test]
async fn a_container_was_found_by_one_spelling_only(#[case] sent: &str, #[case] id: &str, #[case] asked: &[&str]) {
    let passage = SimulatedServer::start().await;
    let mut plugin = minimal();
    (plugin["container_id"], plugin["host"]) = (json!(sent), json!("h"));
    let registered = passage.client.register(&plugin).await.json();
    assert_eq!(registered["container_id"], sent, "the field stays as it was sent");
    for asked in asked {
        let row = passage.row(&format!("container_id={asked}")).await;
        assert_eq!((&row["id"], &row["kind"]), (&json!(id), &json!("container")), "{asked}");
    }
    let listed = passage.client.get(&format!("/plugins?container_id={id}")).answers(200).await;
    assert_eq!(listed.json()["total"], 1);
    // An agent may report by either spelling.
    for spelt in [id, sent] {
        let seen = json!({
            "kind": "container", "plugin": "transcription_whisper", "id": spelt, "state": "alive",
            "identity": {"container_id": "4c01db0b339c4c01db0b339c"},
        });
        assert_eq!(passage.report("h", json!([seen])).await["accepted"], 1, "{spelt}");
    }
    assert_eq!(passage.row(&format!("container_id={id}")).await["observed"]["state"], "alive");
    // The same container, spelt in another way, keeps its observation.
    passage.client.put(PATH, &json!({"container_id": id})).answers(200).await;
    assert_eq!(passage.row(&format!("container_id={id}")).await["observed"]["state"], "alive");
    assert_eq!(
        text(&passage.client.get("/plugins/transcription_whisper").answers(200).await.json()["container_id"]),
        id
    );
}
