//! Names of hosts: in filters, look-ups, reports, scopes, and in the next step of what no probe sees.

use rstest::rstest;
use serde_json::json;

use crate::harness::simulated_server::{SimulatedServer, holding, process, text};
use domain::host::HostNames;

/// A server whose own host has these names.
async fn at_home() -> SimulatedServer {
    let passage = SimulatedServer::start().await;
    passage.server.registry.name_own_host(HostNames::of(["gpu-1", "gpu-1.example.com", "localhost"]));
    passage
}

#[rstest]
#[case("GPU-1", &["gpu-1", "GPU-1", "%20gpu-1", "localhost", "gpu-1.example.com"])]
#[case(" gpu-1 ", &["gpu-1", "::1"])]
#[case("localhost", &["gpu-1", "127.0.0.1", "LOCALHOST"])]
#[case("127.0.0.1", &["gpu-1", "GPU-1.example.com."])]
#[case("::1", &["localhost"])]
#[case("gpu-1.example.com", &["gpu-1", "localhost"])]
#[tokio::test]
async fn another_spelling_of_a_host_was_another_host(#[case] sent: &str, #[case] asked: &[&str]) {
    let passage = at_home().await;
    let registered = passage.client.register(&holding("a", sent, &[7], None)).await.json();
    assert_eq!(registered["host"], sent, "the document keeps what was sent");
    passage.client.register(&holding("b", "gpu-2", &[7], None)).await;
    for asked in asked {
        let listed = passage.client.get(&format!("/plugins?host={asked}")).answers(200).await;
        assert_eq!(listed.json()["total"], 1, "{asked}: {}", listed.text());
        let rows = passage.client.get(&format!("/resources?host={asked}")).answers(200).await.items();
        assert_eq!((rows.len(), &rows[0]["plugin"]), (1, &json!("c_a")), "{asked}");
        let looked_up = passage.row(&format!("pid=7&host={asked}")).await;
        assert_eq!((&looked_up["plugin"], &looked_up["certainty"]), (&json!("c_a"), &json!("claimed")), "{asked}");
    }
    assert_eq!(passage.report("gpu-1", json!([process("c_a", 7, "alive")])).await["accepted"], 1);
    // The host is the same, so the observation stays.
    passage.client.patch("/plugins/c_a", &json!({"host": sent.trim().to_uppercase()})).answers(200).await;
    assert_eq!(passage.row("host=gpu-1").await["observed"]["state"], "alive");
}

#[tokio::test]
async fn agents_that_spell_their_host_differently_are_agents_of_one_host() {
    let passage = at_home().await;
    passage.report("gpu-2", json!([])).await;
    let second = json!({"by": "another", "host": "GPU-2", "observations": []});
    passage.client.post("/observations", &second).answers(409).await;
}

/// The next step of the only row.
async fn next_step(passage: &SimulatedServer, query: &str) -> String {
    text(&passage.row(query).await["evidence"]["next_step"])
}

#[tokio::test]
async fn a_host_that_no_probe_looks_at_was_not_named() {
    let mut passage = at_home().await;
    passage.client.register(&holding("a", "gpu-9", &[7], None)).await;
    let step = next_step(&passage, "pid=7").await;
    assert!(step.starts_with("no probe looks at the host \"gpu-9\"; run `plugin-registry agent` there"), "{step}");
    passage.report("GPU-2", json!([])).await;
    passage.report("gpu-3", json!([])).await;
    let step = next_step(&passage, "pid=7").await;
    assert!(step.contains("no probe looks at the host \"gpu-9\", only at gpu-2, gpu-3;"), "{step}");
    passage.report("gpu-9", json!([process("c_a", 7, "unknown")])).await;
    passage.pass(15).await;
    let step = next_step(&passage, "finding=unverified").await;
    assert!(step.starts_with("run `plugin-registry doctor process:7` on gpu-9"), "{step}");
    passage.pass(90).await;
    assert!(next_step(&passage, "pid=7").await.starts_with("no probe looks at the host"), "its agent has been silent");
}

#[tokio::test]
async fn a_container_without_an_engine_sent_for_an_agent_although_the_registry_looks_there() {
    let passage = at_home().await;
    passage.server.sight.refresh("unix:///nonexistent/docker.sock").await;
    let plugin = json!({
        "name": "a", "category": "c", "title": "T", "config_schema": {}, "container_id": "web", "host": "localhost",
    });
    passage.client.register(&plugin).await;
    let points = passage.server.sight.points();
    let advice = points.iter().find(|point| point.what == "containers").unwrap().advice.clone().unwrap();
    let step = next_step(&passage, "kind=container").await;
    assert!(step.contains(&advice), "as doctor says, {advice}: {step}");
    assert!(!step.contains("agent"), "{step}");
}
