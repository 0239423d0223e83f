//! GET /resources as a look-up: which plugin holds a resource, and with what certainty.

use serde_json::{Value, json};

use crate::harness::simulated_server::{SimulatedServer, holding, process, text};

fn told(rows: &[Value]) -> Vec<(String, String)> {
    rows.iter().map(|row| (text(&row["plugin"]), text(&row["certainty"]))).collect()
}

async fn ask(passage: &SimulatedServer, query: &str) -> Vec<(String, String)> {
    told(&passage.client.get(&format!("/resources?{query}")).answers(200).await.items())
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(plugin, certainty)| ((*plugin).to_owned(), (*certainty).to_owned())).collect()
}

#[tokio::test]
async fn every_candidate_for_a_process_has_its_certainty() {
    let passage = SimulatedServer::start().await;
    for (name, host) in [("claims", "h"), ("ended", "h"), ("other", "i"), ("seen", "h")] {
        passage.client.register(&holding(name, host, &[7], None)).await;
    }
    let mut nowhere = holding("nowhere", "h", &[7], None);
    nowhere["host"] = Value::Null;
    passage.client.register(&nowhere).await;
    passage.report("h", json!([process("c_seen", 7, "alive"), process("c_ended", 7, "reused")])).await;
    let here = [("c_claims", "claimed"), ("c_ended", "ended"), ("c_nowhere", "doubtful"), ("c_seen", "seen")];
    assert_eq!(ask(&passage, "pid=7&host=h").await, pairs(&here));
    let everywhere = [
        ("c_claims", "claimed"),
        ("c_ended", "ended"),
        ("c_nowhere", "claimed"),
        ("c_other", "claimed"),
        ("c_seen", "seen"),
    ];
    assert_eq!(ask(&passage, "pid=7").await, pairs(&everywhere));
    assert_eq!(ask(&passage, "host=h").await.len(), 3, "a list of a host has only what is said to be there");
    assert!(ask(&passage, "pid=8").await.is_empty());
}

#[tokio::test]
async fn a_container_is_found_by_its_whole_id_and_by_its_first_twelve_digits() {
    let passage = SimulatedServer::start().await;
    let whole = "4c01db0b339c".repeat(6)[..64].to_owned();
    for (name, id) in [("short", &whole[..12]), ("whole", &whole), ("named", "my-redis"), ("else", "4c01db0b339d")] {
        let body = json!({"name": name, "category": "c", "title": "T", "config_schema": {}, "container_id": id});
        passage.client.register(&body).await;
    }
    let seen = json!({"kind": "container", "plugin": "c_named", "id": "my-redis", "state": "alive", "identity": {"container_id": whole}});
    passage.client.post("/observations", &json!({"by": "agent", "observations": [seen]})).answers(200).await;
    let all = pairs(&[("c_named", "seen"), ("c_short", "claimed"), ("c_whole", "claimed")]);
    assert_eq!(ask(&passage, &format!("container_id={whole}")).await, all);
    assert_eq!(ask(&passage, &format!("container_id={}", &whole[..12])).await, all);
    assert_eq!(ask(&passage, &format!("container_id={}", &whole[..20])).await, all);
    assert!(ask(&passage, &format!("container_id={}", &whole[..11])).await.is_empty(), "too short to tell");
    assert_eq!(ask(&passage, "container_id=my-redis").await, pairs(&[("c_named", "seen")]));
}

#[tokio::test]
async fn a_remote_resource_is_found_by_instance_and_by_endpoint() {
    let passage = SimulatedServer::start().await;
    let body = |name: &str, remote: Value| json!({"name": name, "category": "c", "title": "T", "config_schema": {}, "remote_resource": remote});
    let url = "https://example.com:8443/v1";
    passage
        .client
        .register(&body("url", json!({"provider": "custom", "endpoint_url": url, "instance_id": "i-1"})))
        .await;
    passage
        .client
        .register(&body("ssh", json!({"provider": "custom", "ssh_host": "192.0.2.7", "ssh_port": 2222})))
        .await;
    for (query, plugin) in [
        ("instance_id=i-1", Some("c_url")),
        ("endpoint=https://example.com:8443/v1", Some("c_url")),
        ("endpoint=192.0.2.7", Some("c_ssh")),
        ("endpoint=192.0.2.7:2222", Some("c_ssh")),
        ("endpoint=192.0.2.7:22", None),
        ("endpoint=https://example.com", None),
        ("endpoint=", None),
    ] {
        let expected: Vec<_> = plugin.into_iter().map(|plugin| (plugin.to_owned(), "claimed".to_owned())).collect();
        assert_eq!(ask(&passage, query).await, expected, "{query}");
    }
}
