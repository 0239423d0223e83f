//! The life cycle of an application that starts again, with the real binary: a registry that forgets is caught.

use serde_json::json;
use tempfile::TempDir;

use crate::harness::Daemon;
use crate::harness::process::binary;
use crate::harness::simulated_server::{holding, process};

/// Whether a registry still lists a process that was seen alive, after its application has started again.
async fn remembers(plant: Option<&str>) -> bool {
    let folder = TempDir::new().unwrap();
    let mut command = binary();
    command.args(["serve", "--listen", "127.0.0.1:0", "--store"]);
    command.arg(format!("sqlite:{}", folder.path().join("r.db").display()));
    command.envs(plant.map(|bug| ("PLUGIN_REGISTRY_PLANT", bug)));
    let daemon = Daemon::spawn(command).await;
    let client = daemon.client();
    client.register(&holding("a", "h", &[7], None)).await;
    let report = json!({"by": "agent", "host": "h", "observations": [process("c_a", 7, "alive")]});
    client.post("/observations", &report).answers(200).await;
    client.post("/plugins", &holding("a", "h", &[9], None)).answers(200).await;
    let listed = client.get("/resources?pid=7").answers(200).await.items();
    daemon.end().await;
    !listed.is_empty()
}

#[tokio::test]
async fn an_application_that_starts_again_makes_nothing_forgotten() {
    assert!(remembers(None).await);
}

#[tokio::test]
async fn the_test_of_holdings_detects_a_registry_that_forgets() {
    assert!(!remembers(Some("forget-unnamed")).await);
}
