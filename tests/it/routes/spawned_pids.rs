//! PUT, POST, DELETE /plugins/{id}/spawned_pids and DELETE …/{pid}.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Client, Server, minimal};

const PATH: &str = "/plugins/transcription_whisper/spawned_pids";

async fn with_one() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    (server, client)
}

fn pids(pids: &[u32]) -> Value {
    json!({"spawned_pids": pids})
}

#[tokio::test]
async fn the_life_of_a_plugin_that_spawns() {
    let (_server, client) = with_one().await;
    let set = client.put(PATH, &pids(&[30, 10, 30, 20])).answers(200).await;
    assert_eq!(set.json()["spawned_pids"], json!([30, 10, 20]), "a set, in the order of first mention");
    assert_eq!(set.json()["has_active_resources"], true);
    let added = client.post(PATH, &pids(&[20, 4_294_967_295, 1])).answers(200).await;
    assert_eq!(added.json()["spawned_pids"], json!([30, 10, 20, 4_294_967_295_u32, 1]));
    let one_less = client.delete(&format!("{PATH}/10")).answers(200).await;
    assert_eq!(one_less.json()["spawned_pids"], json!([30, 20, 4_294_967_295_u32, 1]));
    let cleared = client.delete(PATH).answers(200).await;
    assert_eq!((&cleared.json()["spawned_pids"], &cleared.json()["has_active_resources"]), (&json!([]), &json!(false)));
    assert_eq!(cleared.revision(), 7, "a release is a change of the list, and an event of its own");
    assert_eq!(cleared.etag(), format!("\"{}-7\"", cleared.store()));
}

#[tokio::test]
async fn a_write_without_an_effect_makes_no_revision() {
    let (_server, client) = with_one().await;
    let set = client.put(PATH, &pids(&[1, 2])).answers(200).await;
    let calls = [
        client.put(PATH, &pids(&[1, 2])),
        client.put(PATH, &pids(&[1, 2, 1])),
        client.post(PATH, &pids(&[2, 1])),
        client.post(PATH, &pids(&[])),
        client.delete(&format!("{PATH}/3")),
    ];
    for call in calls {
        let reply = call.answers(200).await;
        assert_eq!((reply.etag(), reply.revision(), reply.body), (set.etag(), 2, set.body.clone()));
    }
}

#[rstest]
#[case::zero(json!({"spawned_pids": [1, 0]}), "/spawned_pids/1")]
#[case::negative(json!({"spawned_pids": [-1]}), "/spawned_pids/0")]
#[case::too_large(json!({"spawned_pids": [4_294_967_296_u64]}), "/spawned_pids/0")]
#[case::text(json!({"spawned_pids": ["12"]}), "/spawned_pids/0")]
#[case::fraction(json!({"spawned_pids": [1.5]}), "/spawned_pids/0")]
#[case::boolean(json!({"spawned_pids": [true]}), "/spawned_pids/0")]
#[case::one_number(json!({"spawned_pids": 12}), "/spawned_pids")]
#[case::null(json!({"spawned_pids": null}), "/spawned_pids")]
#[case::object(json!({"spawned_pids": {"0": 1}}), "/spawned_pids")]
#[case::missing(json!({}), "/spawned_pids")]
#[case::misspelt(json!({"spawned_pid": [1]}), "/spawned_pid")]
#[case::bare_array(json!([1, 2]), "")]
#[tokio::test]
async fn invalid_pids_are_refused(#[case] body: Value, #[case] pointer: &str) {
    let (_server, client) = with_one().await;
    for call in [client.put(PATH, &body), client.post(PATH, &body)] {
        let problem = refused_without_trace(&client, call, 422).await;
        assert!(problem.pointers().contains(&pointer), "{}", problem.document);
    }
}

#[rstest]
#[case("0")]
#[case("-1")]
#[case("+1")]
#[case("4294967296")]
#[case("1.0")]
#[case("x")]
#[case("%20")]
#[tokio::test]
async fn an_invalid_pid_in_the_path_is_refused(#[case] pid: &str) {
    let (_server, client) = with_one().await;
    let problem = refused_without_trace(&client, client.delete(&format!("{PATH}/{pid}")), 400).await;
    assert!(problem.detail().contains("4294967295"), "{}", problem.detail());
}

#[tokio::test]
async fn there_are_at_most_ten_thousand() {
    let (_server, client) = with_one().await;
    let most: Vec<u32> = (1..=10_000).collect();
    client.put(PATH, &pids(&most)).answers(200).await;
    let problem = refused_without_trace(&client, client.post(PATH, &pids(&[10_001])), 422).await;
    assert_eq!(problem.pointers(), ["/spawned_pids"]);
    let too_many: Vec<u32> = (1..=10_001).collect();
    refused_without_trace(&client, client.put(PATH, &pids(&too_many)), 422).await;
    client.post(PATH, &pids(&[10_000])).answers(200).await;
}
