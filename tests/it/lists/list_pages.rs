//! GET /plugins: limit, cursor, Link.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Client, Reply, Server, named};

async fn with_many(number: usize) -> (Server, Client) {
    let server = Server::in_memory().await;
    let client = server.client();
    let lines: String = (0..number).map(|n| named("c", &format!("{n:03}")).to_string() + "\n").collect();
    client.import(lines).await;
    (server, client)
}

/// The pages of a list, following `next_cursor`.
async fn pages(client: &Client, query: &str) -> Vec<Reply> {
    let mut pages = Vec::new();
    let mut path = format!("/plugins?{query}");
    loop {
        let page = client.get(&path).answers(200).await;
        let next = page.next_cursor();
        pages.push(page);
        let Some(next) = next else { return pages };
        path = format!("/plugins?{query}&cursor={next}");
    }
}

#[tokio::test]
async fn pages_concatenated_are_the_whole_list() {
    let (_server, client) = with_many(30).await;
    let whole = client.get("/plugins").answers(200).await.items();
    for limit in [1, 7, 10, 29, 30, 31, 10_000] {
        for query in ["", "&configured=false&execution=local", "&category=c,d", "&q=c_"] {
            let pages = pages(&client, &format!("limit={limit}{query}")).await;
            assert_eq!(pages.len(), 30_usize.div_ceil(limit), "no empty page at the end");
            assert!(pages.iter().all(|page| page.items().len() <= limit && page.json()["total"] == 30));
            let together: Vec<Value> = pages.iter().flat_map(Reply::items).collect();
            assert_eq!(together, whole, "limit={limit}{query}");
        }
    }
}

#[tokio::test]
async fn the_link_to_the_next_page_keeps_the_filters_the_order_and_the_limit() {
    let (_server, client) = with_many(9).await;
    let mut path = "/plugins?category=c&sort=-name&limit=4&fields=name,unique_id".to_owned();
    let mut names = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let page = client.get(&path).answers(200).await;
        names.extend(page.ids());
        sizes.push(page.items().len());
        let Some(link) = page.header("link") else { break };
        let target = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).expect(link);
        // A relative reference (RFC 3986 section 5) to the list itself: a new query on the same path.
        path = if target.starts_with('?') { format!("/plugins{target}") } else { target.to_owned() };
    }
    assert_eq!(sizes, [4, 4, 1]);
    assert!(names.is_sorted_by(|a, b| a > b) && names.len() == 9, "{names:?}");
}

#[tokio::test]
async fn the_link_of_an_ndjson_page_leads_to_an_ndjson_page() {
    let (_server, client) = with_many(5).await;
    let page = client.get("/plugins?limit=3").header("accept", "application/x-ndjson").answers(200).await;
    assert_eq!(page.lines().len(), 3);
    let link = page.header("link").expect("there is more").to_owned();
    let target = link.strip_prefix("<?").and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).expect("a link");
    let next = client.get(&format!("/plugins?{target}")).header("accept", "application/x-ndjson").answers(200).await;
    assert_eq!(next.lines().len(), 2);
    assert!(next.header("link").is_none());
}

#[tokio::test]
async fn equivalent_queries_accept_the_same_cursor() {
    let (_server, client) = with_many(5).await;
    let first = client.get("/plugins?category=c,d&configured=false&limit=2").answers(200).await;
    let cursor = first.next_cursor().unwrap();
    let next = client
        .get(&format!("/plugins?cursor={cursor}&fields=unique_id&limit=9&configured=false&category=d&category=c"));
    assert_eq!(next.answers(200).await.ids(), ["c_002", "c_003", "c_004"]);
}

#[tokio::test]
async fn the_cursor_of_another_list_is_refused() {
    let (_server, client) = with_many(5).await;
    let cursor = client.get("/plugins?limit=2").answers(200).await.next_cursor().unwrap();
    for query in ["configured=false", "sort=name", "sort=-unique_id", "q=c"] {
        let problem = client.get(&format!("/plugins?{query}&cursor={cursor}")).refused(400).await;
        assert_eq!(problem.kind(), "bad-parameter");
        assert!(problem.detail().contains("other filters"), "{}", problem.detail());
    }
    client.get(&format!("/resources?cursor={cursor}")).refused(400).await;
}

#[tokio::test]
async fn the_cursor_of_another_store_is_gone() {
    let (_one, client) = with_many(5).await;
    let (_other, elsewhere) = with_many(5).await;
    let cursor = client.get("/plugins?limit=2").answers(200).await.next_cursor().unwrap();
    let problem = elsewhere.get(&format!("/plugins?limit=2&cursor={cursor}")).refused(410).await;
    assert_eq!(problem.kind(), "other-store");
}

#[tokio::test]
async fn a_tampered_cursor_is_refused_and_never_a_fault() {
    let (_server, client) = with_many(5).await;
    let cursor = client.get("/plugins?limit=2&sort=title").answers(200).await.next_cursor().unwrap();
    for end in 1..cursor.len() {
        let reply = client.get(&format!("/plugins?sort=title&cursor={}", &cursor[..end])).send().await;
        assert!([400, 410].contains(&reply.status.as_u16()), "{end}: {}", reply.text());
    }
    for place in 0..cursor.len() {
        let mut tampered = cursor.clone().into_bytes();
        tampered[place] = if tampered[place] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        let reply = client.get(&format!("/plugins?sort=title&cursor={tampered}")).send().await;
        assert!([200, 400, 410].contains(&reply.status.as_u16()), "{place}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_cursor_survives_the_removal_of_its_plugin() {
    let (_server, client) = with_many(6).await;
    let cursor = client.get("/plugins?limit=3").answers(200).await.next_cursor().unwrap();
    client.delete("/plugins/c_002").answers(204).await;
    client.delete("/plugins/c_003").answers(204).await;
    let rest = client.get(&format!("/plugins?cursor={cursor}")).answers(200).await;
    assert_eq!(rest.ids(), ["c_004", "c_005"]);
}

#[tokio::test]
async fn a_list_sorted_by_long_texts_can_be_paged_through() {
    let server = Server::in_memory().await;
    let client = server.client();
    for n in 0..3 {
        let mut body = named("c", &n.to_string());
        body["description"] = json!(format!("{n} {}", "long ".repeat(20_000)));
        client.register(&body).await;
    }
    let ids: Vec<_> = pages(&client, "limit=1&sort=-description").await.iter().flat_map(Reply::ids).collect();
    assert_eq!(ids, ["c_2", "c_1", "c_0"]);
}

#[tokio::test]
async fn a_list_with_a_long_filter_can_be_paged_through() {
    let (_server, client) = with_many(3).await;
    let hosts: Vec<_> = (0..900).map(|n| format!("host-{n}")).collect();
    let query = format!("limit=1&category=c,x&name=000,001,002,{}", hosts.join(","));
    let ids: Vec<_> = pages(&client, &query).await.iter().flat_map(Reply::ids).collect();
    assert_eq!(ids, ["c_000", "c_001", "c_002"]);
}

#[tokio::test]
async fn stable_plugins_are_listed_exactly_once_while_others_change() {
    let (server, client) = with_many(60).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (client, stop) = (server.client(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut rounds = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                // Plugins around the stable ones, which come and go: before, between and after them.
                let name = format!("{:03}x{rounds}", (rounds * 37) % 60);
                client.register(&named("c", &name)).await;
                client.patch(&format!("/plugins/c_{name}"), &json!({"title": format!("T{rounds}")})).answers(200).await;
                if rounds.is_multiple_of(2) {
                    client.delete(&format!("/plugins/c_{name}")).answers(204).await;
                }
                rounds += 1;
            }
            rounds
        })
    };
    let standing: BTreeSet<String> = (0..60).map(|n| format!("c_{n:03}")).collect();
    for query in
        ["limit=7", "limit=5&sort=created_at", "limit=9&configured=false&execution=local", "limit=8&sort=-name"]
    {
        for _ in 0..3 {
            let pages = pages(&client, query).await;
            let listed: Vec<_> = pages.iter().flat_map(Reply::ids).filter(|id| id.len() == 5).collect();
            assert_eq!(listed.len(), 60, "{query}: missing or twice");
            assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), standing, "{query}");
            assert!(pages.iter().map(Reply::revision).is_sorted(), "never an older revision after a newer one");
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 5, "there were writes between the pages");
}
