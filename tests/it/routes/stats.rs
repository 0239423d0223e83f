//! GET /stats.

use serde_json::json;

use crate::harness::{Server, holding_everything, named};

#[tokio::test]
async fn an_empty_registry_counts_nothing() {
    let server = Server::start().await;
    assert_eq!(
        server.client().get("/stats").answers(200).await.json(),
        json!({
            "total": 0, "configured": 0, "unconfigured": 0, "local": 0, "cloud": 0, "with_active_resources": 0,
            "by_category": {}, "by_execution_mode": {}, "by_provider": {}, "revision": 0,
        })
    );
}

#[tokio::test]
async fn counts_follow_every_change() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    client.register(&named("finetuning", "second")).await;
    client.register(&named("asr", "third")).await;
    let stats = client.get("/stats").answers(200).await.json();
    assert_eq!(
        stats,
        json!({
            "total": 3, "configured": 1, "unconfigured": 2, "local": 2, "cloud": 1, "with_active_resources": 1,
            "by_category": {"asr": 1, "finetuning": 2}, "by_execution_mode": {"in_process": 2, "cloud_gpu": 1},
            "by_provider": {"lambda_labs": 1}, "revision": 3,
        })
    );
    client.put("/plugins/asr_third/config", &json!({})).answers(200).await;
    client.put("/plugins/asr_third/container_id", &json!({"container_id": "x"})).answers(200).await;
    client.patch("/plugins/asr_third", &json!({"execution_mode": "kubernetes"})).answers(200).await;
    client.delete("/plugins/finetuning_trainer?force=true").answers(204).await;
    let stats = client.get("/stats").answers(200).await.json();
    assert_eq!(
        stats,
        json!({
            "total": 2, "configured": 1, "unconfigured": 1, "local": 1, "cloud": 1, "with_active_resources": 1,
            "by_category": {"asr": 1, "finetuning": 1}, "by_execution_mode": {"in_process": 1, "kubernetes": 1},
            "by_provider": {}, "revision": 7,
        })
    );
}
