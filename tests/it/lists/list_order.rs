//! GET /plugins: sorting by every field, in both directions.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::harness::{Client, Server, named};
use domain::query::sort::SortField;

async fn with_many() -> (Server, Client) {
    let server = Server::in_memory().await;
    let client = server.client();
    for n in 0..24_u32 {
        let mut body = named(["b", "a", "Ä"][n as usize % 3], &format!("n{}", (n * 7) % 24));
        let texts = ["", "z", "Z", "ä", "10", "9"];
        let text = |place: u32| texts[((n + place) % 6) as usize];
        let mode = ["docker", "cloud_vm", "external", "in_process"][n as usize % 4];
        json_patch::merge(
            &mut body,
            &json!({
                "title": text(0), "is_configured": n % 2 == 0, "manages_child_processes": n % 3 == 0,
                "manages_external_resources": n % 4 == 0,
                "execution_mode": mode,
            }),
        );
        if n % 5 > 0 {
            json_patch::merge(
                &mut body,
                &json!({
                    "description": text(1), "version": text(2), "container_id": text(3), "conda_env_name": text(4),
                    "host": text(5), "lease_id": text(0),
                    "remote_resource": {"provider": "aws", "status": if n % 2 == 0 { "running" } else { "stopping" }},
                }),
            );
        }
        client.register(&body).await;
    }
    (server, client)
}

/// Null first, then false before true, numbers by size, texts by code points.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => b.is_null().cmp(&a.is_null()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_u64().cmp(&b.as_u64()),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => panic!("{a} and {b} are not of one type"),
    }
}

#[tokio::test]
async fn a_list_can_be_sorted_by_every_scalar_field() {
    let (_server, client) = with_many().await;
    let whole = client.get("/plugins").answers(200).await.items();
    let objects = ["observed", "remote_resource", "stop_requested", "stop_answer"];
    let scalar = whole[0].as_object().unwrap().iter().filter(|(name, _)| !objects.contains(&name.as_str()));
    let scalar = scalar.filter(|(_, value)| !value.is_array() && !value.is_object());
    let mut expected: Vec<_> = scalar.map(|(name, _)| name.as_str()).collect();
    let mut offered = SortField::NAMES.to_vec();
    expected.sort_unstable();
    offered.sort_unstable();
    assert_eq!(offered, expected);
}

#[tokio::test]
async fn every_sort_gives_the_same_order_in_one_page_and_in_many() {
    let (_server, client) = with_many().await;
    let whole = client.get("/plugins").answers(200).await.items();
    for field in SortField::NAMES {
        for descending in [false, true] {
            let mut expected = whole.clone();
            expected.sort_by(|a, b| {
                let (by_field, by_id) = (compare(&a[field], &b[field]), compare(&a["unique_id"], &b["unique_id"]));
                if descending { by_field.reverse().then(by_id) } else { by_field.then(by_id) }
            });
            let sort = format!("sort={}{field}", if descending { "-" } else { "" });
            let listed = client.get(&format!("/plugins?{sort}")).answers(200).await.items();
            let names = |items: &[Value]| items.iter().map(|item| item["unique_id"].to_string()).collect::<Vec<_>>();
            assert_eq!(names(&listed), names(&expected), "{sort}");
            let mut pages = Vec::new();
            let mut query = format!("/plugins?limit=7&{sort}");
            loop {
                let page = client.get(&query).answers(200).await;
                assert_eq!(page.json()["total"], 24);
                pages.extend(page.items());
                let Some(next) = page.next_cursor() else { break };
                query = format!("/plugins?limit=7&{sort}&cursor={next}");
            }
            assert_eq!(names(&pages), names(&expected), "{sort} in pages");
        }
    }
}
