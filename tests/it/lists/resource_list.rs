//! Lists of resources: order, sums, fields, and other forms.

use serde_json::{Value, json};

use crate::harness::simulated_server::{SimulatedServer, holding};
use crate::harness::{Server, named};

fn renting(category: &str, name: &str, instance: &str, price: Option<f64>) -> Value {
    let mut plugin = named(category, name);
    plugin["labels"] = json!({"team": name});
    plugin["remote_resource"] = json!({
        "provider": "aws", "instance_id": instance, "status": "running", "estimated_cost_per_hour": price,
        "gpu_type": "H100", "gpu_count": 8,
    });
    plugin
}

async fn with_prices() -> SimulatedServer {
    let passage = SimulatedServer::start().await;
    for (name, price) in [("cheap", Some(1.5)), ("dear", Some(24.5)), ("free", Some(0.0)), ("unknown", None)] {
        passage.client.register(&renting("c", name, &format!("i-{name}"), price)).await;
    }
    passage.client.register(&holding("worker", "h", &[7, 8], None)).await;
    passage
}

fn ids(rows: &[Value]) -> Vec<Value> {
    rows.iter().map(|row| row["id"].clone()).collect()
}

#[tokio::test]
async fn the_dearest_come_first_with_the_sum_of_all_pages() {
    let passage = with_prices().await;
    let (mut rows, mut path) = (Vec::new(), "/resources?sort=-usd_per_hour&limit=2".to_owned());
    loop {
        let page = passage.client.get(&path).answers(200).await;
        assert_eq!((&page.json()["total"], &page.json()["usd_per_hour"]), (&json!(6), &json!(26)));
        rows.extend(page.items());
        let Some(next) = page.next_cursor() else { break };
        path = format!("/resources?sort=-usd_per_hour&limit=2&cursor={next}");
    }
    assert_eq!(ids(&rows), ["i-dear", "i-cheap", "i-free", "i-unknown", "7", "8"]);
    let dear = &rows[0];
    assert_eq!((&dear["usd_per_hour"], &dear["provider"]), (&json!(24.5), &json!("aws")));
    assert_eq!((&dear["gpu_type"], &dear["gpu_count"]), (&json!("H100"), &json!(8)));
    assert_eq!((&rows[2]["usd_per_hour"], &rows[3]["usd_per_hour"]), (&json!(0), &Value::Null));
    assert_eq!(
        (&rows[4]["provider"], &rows[4]["gpu_count"], &rows[4]["spent_usd"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let some = passage.client.get("/resources?label.team=cheap,dear&sort=usd_per_hour").answers(200).await;
    assert_eq!(ids(&some.items()), ["i-cheap", "i-dear"]);
    assert_eq!((&some.json()["total"], &some.json()["usd_per_hour"]), (&json!(2), &json!(26)));
    for (query, total) in [("category=c", 6), ("category=other", 0), ("provider=aws,gcp", 4), ("provider=gcp", 0)] {
        let page = passage.client.get(&format!("/resources?{query}")).answers(200).await.json();
        assert_eq!(page["total"], total, "{query}: {page}");
    }
}

#[tokio::test]
async fn a_resource_has_its_cost_so_far() {
    let mut passage = SimulatedServer::start().await;
    let spent = async |passage: &SimulatedServer, id: &str| {
        let path = format!("/resources?instance_id={id}&fields=spent_usd");
        let row = passage.client.get(&path).answers(200).await.items().remove(0);
        (row["spent_usd"]["low_usd"].clone(), row["spent_usd"]["high_usd"].clone())
    };
    passage.client.register(&renting("c", "a", "i-1", Some(10.0))).await;
    passage.pass(3600).await;
    assert_eq!(spent(&passage, "i-1").await, (json!(10), json!(10)));
    let dearer = json!({"estimated_cost_per_hour": 20});
    passage.client.patch("/plugins/c_a/remote_resource", &dearer).answers(200).await;
    passage.pass(3600).await;
    assert_eq!(spent(&passage, "i-1").await, (json!(30), json!(30)), "each hour at its price");
    passage.client.delete("/plugins/c_a/remote_resource").answers(200).await;
    passage.client.post("/plugins", &renting("c", "a", "i-2", Some(10.0))).answers(200).await;
    passage.pass(3600).await;
    assert_eq!(spent(&passage, "i-2").await, (json!(10), json!(40)), "the ledger has sums of plugins");
    passage.client.register(&renting("c", "b", "i-3", Some(1.0))).await;
    assert_eq!(
        passage.row("instance_id=i-3").await["spent_usd"],
        Value::Null,
        "a plain list depends on the revision alone"
    );
    let sorted = passage.client.get("/resources?sort=-spent_usd&limit=1").answers(200).await;
    assert_eq!((ids(&sorted.items()), sorted.header("etag")), (vec![json!("i-2")], None));
    let next = format!("/resources?sort=-spent_usd&limit=1&cursor={}", sorted.next_cursor().unwrap());
    assert_eq!(ids(&passage.client.get(&next).answers(200).await.items()), ["i-3"]);
    let past = passage.client.get("/resources?as_of=1").answers(200).await.items();
    assert_eq!((past[0]["usd_per_hour"].clone(), past[0]["spent_usd"].clone()), (json!(10), Value::Null));
    passage.client.get("/resources?as_of=1&sort=spent_usd").refused(400).await;
}

#[tokio::test]
async fn rows_come_as_lines_as_a_table_and_in_part() {
    let passage = with_prices().await;
    let whole = passage.client.get("/resources").answers(200).await.items();
    let lines = passage.client.get("/resources").header("accept", "application/x-ndjson").answers(200).await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(lines.lines(), whole);
    let part = passage.client.get("/resources?fields=id,usd_per_hour&sort=-usd_per_hour&limit=1").answers(200).await;
    assert_eq!(part.items(), [json!({"id": "i-dear", "usd_per_hour": 24.5})]);
    let csv = |path: &str| passage.client.get(path).header("accept", "text/csv").answers(200);
    let table = csv("/resources?fields=id,kind,usd_per_hour,spent_usd&sort=-usd_per_hour&limit=2").await;
    assert_eq!(
        table.text(),
        "kind,id,usd_per_hour,spent_usd.low_usd,spent_usd.high_usd\r\nremote,i-dear,24.5,0,0\r\nremote,i-cheap,1.5,0,0\r\n"
    );
    assert!(table.header("link").is_some_and(|link| link.contains("cursor=")), "there is more");
    let whole = csv("/resources").await;
    assert_eq!(whole.text().lines().count(), 7);
    assert!(whole.text().starts_with("plugin,kind,id,host,"));
    for wrong in ["sort=price", "sort=-", "fields=pid", "provider=hetzner", "label.=x", "category=c&cursor=x"] {
        passage.client.get(&format!("/resources?{wrong}")).refused(400).await;
    }
}

#[tokio::test]
async fn a_long_poll_of_a_label_waits_for_its_rows_alone() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&renting("c", "a", "i-1", Some(1.0))).await;
    client.register(&renting("c", "b", "i-2", Some(1.0))).await;
    client.get("/resources?label.team=a&since=1&wait=0").answers(304).await;
    client.patch("/plugins/c_b", &json!({"labels": {"team": "a"}})).answers(200).await;
    let news = client.get("/resources?label.team=a&since=2&wait=0").answers(200).await;
    assert_eq!(ids(&news.items()), ["i-1", "i-2"]);
    let tag = news.etag();
    client.get("/resources?label.team=a").header("if-none-match", &tag).answers(304).await;
}
