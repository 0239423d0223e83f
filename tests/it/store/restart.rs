//! A restart preserves everything: documents, tags, counts and cursors.

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Client, Daemon, Server, Trace, holding_everything, minimal, named};

async fn fill(client: &Client) {
    client.register(&holding_everything()).await;
    client.register(&minimal()).await;
    client.register(&named("音声", "認識/🎙")).await;
    client.put("/plugins/finetuning_trainer/config", &json!({"device": "cuda", "x": 1.50})).answers(200).await;
    client.put("/categories/finetuning", &json!({"display_name": "Fine-Tuning"})).answers(200).await;
    client.put("/plugins/transcription_whisper/spawned_pids", &json!({"spawned_pids": [3, 1, 2]})).answers(200).await;
    client.register(&named("gone", "gone")).await;
    client.delete("/plugins/gone_gone").answers(204).await;
    client.put("/plugins/transcription_whisper/config", &json!([])).answers(200).await;
    client.delete("/plugins/transcription_whisper/config").answers(200).await;
}

#[tokio::test]
async fn a_restart_changes_nothing_that_a_reader_sees() {
    let server = Server::in_file().await;
    let client = server.client();
    fill(&client).await;
    let before = Trace::of(&client).await;
    let plugin = client.get("/plugins/finetuning_trainer").answers(200).await;
    let config = client.get("/plugins/finetuning_trainer/config").answers(200).await;
    let cursor = client.get("/plugins?limit=1").answers(200).await.next_cursor().unwrap();
    let folder = server.stop().await.unwrap();
    let server = Server::on(&folder.path().join("registry.db")).await;
    let client = server.client();
    assert_eq!(before, Trace::of(&client).await);
    let again = client.get("/plugins/finetuning_trainer").header("if-none-match", plugin.etag()).answers(304).await;
    assert_eq!(again.store(), plugin.store());
    assert_eq!(client.get("/plugins/finetuning_trainer/config").answers(200).await.body, config.body);
    client.get("/plugins/transcription_whisper/config").refused(404).await;
    assert_eq!(client.get(&format!("/plugins?cursor={cursor}")).answers(200).await.items().len(), 2);
    assert_eq!(client.register(&named("c", "next")).await.revision(), before.revision + 1);
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let daemon = Daemon::start(&store).await;
    fill(&daemon.client()).await;
    let before = Trace::of(&daemon.client()).await;
    let active = daemon.client().get("/plugins?active=true").answers(200).await.ids();
    daemon.signal(Signal::KILL);
    daemon.exit().await;
    let daemon = Daemon::start(&store).await;
    assert_eq!(before, Trace::of(&daemon.client()).await);
    assert_eq!(daemon.client().get("/plugins?active=true").answers(200).await.ids(), active);
    daemon.stop().await;
    assert!(!folder.path().join("registry.db-wal").exists(), "a clean stop leaves one file");
}

#[tokio::test]
async fn a_cost_is_the_same_number_after_a_restart() {
    let server = Server::in_file().await;
    let client = server.client();
    // A careless parser is off by one bit for numbers whose shortest text has 16 or 17 digits.
    let costs = [
        "0.30000000000000004",
        "123.45678901234567",
        "0.12345678901234568",
        "24.500000000000004",
        "1e-7",
        "5e-324",
        "2.2250738585072014e-308",
        "999999999.9999999",
    ];
    for (n, cost) in costs.iter().enumerate() {
        let body = format!(
            r#"{{"name":"{n}","category":"c","title":"t","config_schema":{{}},"remote_resource":{{"provider":"aws","estimated_cost_per_hour":{cost}}}}}"#
        );
        client.request(reqwest::Method::POST, "/plugins").body("application/json", body).answers(201).await;
    }
    let before = client.get("/plugins").answers(200).await;
    let folder = server.stop().await.unwrap();
    let server = Server::on(&folder.path().join("registry.db")).await;
    let after = server.client().get("/plugins").answers(200).await;
    assert_eq!(after.text(), before.text());
}

#[tokio::test]
async fn times_follow_the_clock_that_is_right() {
    use jiff::{SignedDuration, Timestamp};
    use plugin_registry::clock::ManualClock;
    use std::sync::Arc;
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
    let mut setup = crate::harness::server::Setup::in_memory();
    setup.clock = clock.clone();
    let server = setup.start().await;
    let client = server.client();
    let first = client.register(&minimal()).await.json();
    let path = "/plugins/transcription_whisper";
    // Clocks of replicas may be a little apart.
    clock.set(SignedDuration::from_secs(-10));
    let second = client.patch(path, &json!({"title": "New"})).answers(200).await.json();
    assert_eq!((&second["updated_at"], &second["created_at"]), (&first["updated_at"], &first["created_at"]));
    clock.set(SignedDuration::from_hours(-5));
    let third = client.patch(path, &json!({"title": "Newer"})).answers(200).await.json();
    assert_eq!(third["updated_at"], "2027-01-15T02:59:50Z");
    let ready = client.get("/readyz").answers(200).await.json();
    assert_eq!(
        (&ready["clock"]["last_jump_seconds"], &ready["clock"]["head_ahead_seconds"]),
        (&json!(-18_000.0), &json!(0.0))
    );
    clock.set(SignedDuration::from_hours(-1));
    let ready = client.get("/readyz").answers(200).await.json();
    assert_eq!(ready["clock"]["head_ahead_seconds"], 3_600.0);
    let metrics = client.get("/metrics").answers(200).await;
    for line in ["plugin_registry_clock_jumps_total 3", "plugin_registry_head_ahead_seconds 3600"] {
        assert!(metrics.text().contains(line), "{line}");
    }
}
