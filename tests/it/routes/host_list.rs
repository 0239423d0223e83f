//! GET /hosts.

use serde_json::{Value, json};

use crate::harness::simulated_server::{SimulatedServer, holding, process};
use crate::harness::{Server, named};
use domain::host::HostNames;

async fn hosts(passage: &SimulatedServer, query: &str) -> Vec<Value> {
    passage.client.get(&format!("/hosts{query}")).answers(200).await.items()
}

fn names(rows: &[Value]) -> Vec<Value> {
    rows.iter().map(|row| row["host"].clone()).collect()
}

#[tokio::test]
async fn a_host_that_nothing_looks_at_comes_first() {
    let mut passage = SimulatedServer::start().await;
    passage.server.registry.name_own_host(HostNames::of(["a-registry", "a-registry.example.com", "localhost"]));
    for (name, host, pids) in [("a", "GPU-1", &[7, 8][..]), ("b", "gpu-2", &[7]), ("c", "gpu-1", &[]), ("d", "b", &[])]
    {
        passage.client.register(&holding(name, host, pids, None)).await;
    }
    passage.report("gpu-1", json!([process("c_a", 7, "alive")])).await;
    let rows = hosts(&passage, "").await;
    assert_eq!(names(&rows), [json!("gpu-2"), json!("b"), json!("gpu-1")]);
    let (lonely, watched) = (&rows[0], &rows[2]);
    assert_eq!((&lonely["looked_at"], &lonely["probe"], &lonely["agent"]), (&json!(false), &Value::Null, &Value::Null));
    assert_eq!(
        (&watched["looked_at"], &watched["probe"], &watched["agent"]),
        (&json!(true), &json!("agent"), &json!("agent@gpu-1"))
    );
    assert_eq!(watched["heard_at"], json!(passage.now()));
    assert_eq!((&watched["plugins"], &watched["processes"], &watched["containers"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!((&watched["is_own"], &watched["names"]), (&json!(false), &json!(["gpu-1"])));
    passage.pass(90).await;
    let rows = hosts(&passage, "").await;
    assert_eq!(names(&rows), [json!("gpu-1"), json!("gpu-2"), json!("b")], "the agent has been silent");
    assert_eq!((&rows[0]["looked_at"], &rows[0]["agent"]), (&json!(false), &json!("agent@gpu-1")), "who it was stays");
}

#[tokio::test]
async fn what_is_held_is_counted_with_its_findings_and_its_price() {
    let mut passage = SimulatedServer::start().await;
    let mut plugin = holding("a", "gpu-1", &[7, 8], None);
    plugin["container_id"] = json!("web");
    plugin["remote_resource"] =
        json!({"provider": "aws", "status": "running", "instance_id": "i-1", "estimated_cost_per_hour": 2.5});
    passage.client.register(&plugin).await;
    let mut unnamed = named("c", "unnamed");
    unnamed["spawned_pids"] = json!([9]);
    passage.client.register(&unnamed).await;
    passage.seen_twice("gpu-1", "c_a", 7, "alive").await;
    for _ in 0..4 {
        passage.seen_twice("gpu-1", "c_a", 7, "gone").await;
        passage.pass(10).await;
    }
    let rows = hosts(&passage, "").await;
    assert_eq!(names(&rows), [Value::Null, json!("gpu-1")]);
    assert_eq!((&rows[0]["processes"], &rows[0]["plugins"]), (&json!(1), &json!(0)));
    let row = &rows[1];
    assert_eq!((&row["processes"], &row["containers"], &row["remotes"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!((&row["usd_per_hour"], &row["findings_by_kind"]["ghost"]), (&json!(2.5), &json!(1)), "{row}");
    let by_kind = row["findings_by_kind"].as_object().unwrap();
    assert_eq!(by_kind.len(), 5, "every kind");
    assert_eq!(row["findings"].as_u64(), Some(by_kind.values().filter_map(Value::as_u64).sum()));
}

#[tokio::test]
async fn the_own_host_is_one_row_by_all_its_names_with_what_the_registry_sees() {
    let passage = SimulatedServer::start().await;
    passage.server.registry.name_own_host(HostNames::of(["gpu-1", "gpu-1.example.com", "localhost"]));
    assert_eq!(hosts(&passage, "").await, Vec::<Value>::new(), "nothing looks, and nothing is held");
    passage.server.sight.refresh("unix:///nonexistent/docker.sock").await;
    passage.client.register(&holding("a", "localhost", &[7], None)).await;
    passage.client.register(&holding("b", "GPU-1.example.com", &[8], None)).await;
    let rows = hosts(&passage, "").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!((&row["host"], &row["is_own"], &row["probe"]), (&json!("gpu-1"), &json!(true), &json!("registry")));
    assert_eq!((&row["processes"], &row["plugins"], &row["looked_at"]), (&json!(2), &json!(2), &json!(true)));
    let sight = row["sight"].as_array().unwrap();
    assert!(sight.iter().any(|point| point["what"] == "containers" && point["visible"] == false), "{sight:?}");
}

#[tokio::test]
async fn pages_put_together_are_the_whole_list() {
    let server = Server::in_memory().await;
    let client = server.client();
    for number in 0..7 {
        let pids = [7; 1].map(|pid| pid + number).into_iter().filter(|pid| pid % 2 == 0).collect::<Vec<_>>();
        client.register(&holding(&number.to_string(), &format!("h{number}"), &pids, None)).await;
    }
    let whole = client.get("/hosts").answers(200).await;
    assert_eq!(
        (whole.items().len(), &whole.json()["total"], &whole.json()["next_cursor"]),
        (7, &json!(7), &Value::Null)
    );
    let (mut pages, mut path) = (Vec::new(), "/hosts?limit=3".to_owned());
    loop {
        let page = client.get(&path).answers(200).await.json();
        pages.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/hosts?limit=3&cursor={cursor}");
    }
    assert_eq!(pages, whole.items());
    assert_eq!(client.get("/hosts?looked_at=true").answers(200).await.json()["total"], 0);
    client.get("/hosts?limit=0").refused(400).await;
    client.get("/hosts?host=h1").refused(400).await;
}
