//! GET /resources.

use serde_json::{Value, json};

use crate::harness::{Client, Server, holding_everything, named};

async fn with_three() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    let mut asr = named("asr", "vllm");
    json_patch::merge(&mut asr, &json!({"spawned_pids": [77, 78], "host": "gpu-1"}));
    client.register(&asr).await;
    let mut ssh = named("z", "ssh");
    json_patch::merge(
        &mut ssh,
        &json!({"remote_resource": {"provider": "custom", "ssh_host": "h", "status": "stopped"}}),
    );
    client.register(&ssh).await;
    client.register(&named("holds", "nothing")).await;
    (server, client)
}

fn row(plugin: &str, kind: &str, host: Option<&str>, id: &str, claimed: &str, billable: bool) -> Value {
    json!({"plugin": plugin, "kind": kind, "host": host, "id": id, "claimed": claimed, "billable": billable})
}

/// The claims of a plugin alone; `findings` and `resource_lookup` test the observations.
fn claims(rows: &[Value]) -> Vec<Value> {
    let known = [
        "observed",
        "finding",
        "lease",
        "certainty",
        "evidence",
        "claim",
        "held_since",
        "claimed_by",
        "left_at",
        "left_by",
        "expires_at",
        "acknowledged",
        "lease_id",
        "provider",
        "gpu_type",
        "gpu_count",
        "usd_per_hour",
        "spent_usd",
    ];
    let claim = |row: &Value| {
        let mut fields = row.as_object().unwrap().clone();
        known.iter().for_each(|name| drop(fields.remove(*name).unwrap_or_else(|| panic!("{name} is missing"))));
        Value::Object(fields)
    };
    rows.iter().map(claim).collect()
}

fn every_row() -> Vec<Value> {
    let (host, trainer) = (Some("workstation"), "finetuning_trainer");
    vec![
        row("asr_vllm", "process", Some("gpu-1"), "77", "running", false),
        row("asr_vllm", "process", Some("gpu-1"), "78", "running", false),
        row(trainer, "process", host, "4294967295", "running", false),
        row(trainer, "process", host, "1", "running", false),
        row(trainer, "process", host, "77", "running", false),
        row(trainer, "container", host, "f00dfeedbabe", "running", false),
        row(trainer, "remote", None, "i-1", "running", true),
        row("z_ssh", "remote", None, "h", "stopped", false),
    ]
}

#[tokio::test]
async fn every_held_resource_is_a_row() {
    let (_server, client) = with_three().await;
    let reply = client.get("/resources").answers(200).await;
    assert_eq!(claims(&reply.items()), every_row());
    assert_eq!((&reply.json()["next_cursor"], &reply.json()["revision"]), (&Value::Null, &json!(4)));
}

#[tokio::test]
async fn a_lookup_returns_the_holder() {
    let (_server, client) = with_three().await;
    let rows = every_row();
    let pick = |places: &[usize]| places.iter().map(|place| rows[*place].clone()).collect::<Vec<_>>();
    for (query, places) in [
        ("pid=77", &[0, 4][..]),
        ("pid=4294967295", &[2]),
        ("pid=2", &[]),
        ("container_id=f00dfeedbabe", &[5]),
        ("container_id=", &[]),
        ("instance_id=i-1", &[6]),
        ("host=gpu-1", &[0, 1]),
        ("host=workstation", &[2, 3, 4, 5]),
        ("host=nowhere", &[]),
        ("kind=remote", &[6, 7]),
        ("kind=process&host=workstation", &[2, 3, 4]),
        ("kind=container&pid=77", &[]),
        ("pid=77&host=gpu-1", &[0]),
        ("container_id=f00dfeedbabe&host=gpu-1", &[]),
    ] {
        let reply = client.get(&format!("/resources?{query}")).answers(200).await;
        assert_eq!(claims(&reply.items()), pick(places), "{query}");
    }
}

#[tokio::test]
async fn a_look_up_by_host_shows_only_rows_of_that_host() {
    let (_server, client) = with_three().await;
    let rows = client.get("/resources?host=workstation").answers(200).await.items();
    assert!(rows.len() == 4 && rows.iter().all(|row| row["host"] == "workstation"), "{rows:?}");
}

#[tokio::test]
async fn pages_concatenated_are_the_whole() {
    let (_server, client) = with_three().await;
    for limit in 1..=9 {
        let mut rows = Vec::new();
        let mut query = format!("limit={limit}");
        loop {
            let page = client.get(&format!("/resources?{query}")).answers(200).await;
            assert!(page.items().len() <= limit);
            rows.extend(page.items());
            let Some(next) = page.next_cursor() else { break };
            query = format!("limit={limit}&cursor={next}");
        }
        assert_eq!(claims(&rows), every_row(), "limit {limit}");
    }
}

#[tokio::test]
async fn invalid_parameters_are_refused() {
    let (_server, client) = with_three().await;
    for query in [
        "kind=gpu",
        "pid=0",
        "pid=x",
        "limit=0",
        "limit=10001",
        "cursor=x",
        "pids=77",
        "host=a&host=b",
        "pid=1,2",
        "kind=",
    ] {
        let problem = client.get(&format!("/resources?{query}")).refused(400).await;
        assert_eq!(problem.kind(), "bad-parameter", "{query}");
    }
    assert!(client.get("/resources?kind=gpu").refused(400).await.detail().contains("process, container, remote"));
}
