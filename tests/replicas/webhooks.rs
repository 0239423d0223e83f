//! Of several replicas one delivers; when it goes, another goes on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::within_patience;

/// The revisions that a target was told of, in the order in which they came.
type Told = Arc<Mutex<Vec<u64>>>;

/// A target that takes everything.
async fn target() -> (String, Told) {
    async fn take(State(told): State<Told>, body: Bytes) {
        let event: Value = serde_json::from_slice(&body).expect("an event");
        told.lock().expect("no panic").push(event["data"]["revision"].as_u64().expect("a revision"));
    }
    let told = Told::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let router = Router::new().route("/", post(take)).with_state(Arc::clone(&told));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, told)
}

async fn until_told(told: &Told, revision: u64) {
    within_patience("the delivery", async {
        while told.lock().expect("no panic").last().is_none_or(|last| *last < revision) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_delivers_and_another_goes_on_when_it_is_killed() {
    let cluster = Cluster::start();
    let mut replicas = Replica::start_many(&cluster.url(), 3).await;
    let (url, told) = target().await;
    // Whoever makes a webhook delivers it.
    let made = replicas[1].client().ask(Method::POST, "/webhooks", Some(&json!({"url": url}))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.header("location").expect("a path").to_owned();
    // The others know it at once.
    for replica in &replicas {
        assert_eq!(replica.client().get(&path).await.body["url"], url);
    }
    for n in 0..30 {
        assert_eq!(replicas[n % 3].client().register(&format!("a{n}")).await.status, 201);
    }
    until_told(&told, 30).await;
    assert_eq!(*told.lock().expect("no panic"), (1..=30).collect::<Vec<_>>(), "each once, in order, from one replica");
    replicas[1].kill().await;
    for n in 0..30 {
        assert_eq!(replicas[(n % 2) * 2].client().register(&format!("b{n}")).await.status, 201);
    }
    until_told(&told, 60).await;
    let all = told.lock().expect("no panic").clone();
    assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), (1..=60).collect(), "none is lost");
    println!("{} deliveries of 60 changes over a kill", all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_changed_and_removed_through_any_replica() {
    let cluster = Cluster::start();
    let replicas = Replica::start_many(&cluster.url(), 2).await;
    let (url, told) = target().await;
    let made = replicas[0].client().ask(Method::POST, "/webhooks", Some(&json!({"url": url}))).await;
    let path = made.header("location").expect("a path").to_owned();
    assert_eq!(replicas[0].client().register("a").await.status, 201);
    until_told(&told, 1).await;
    // The other replica takes over what it changes.
    let paused = replicas[1].client().ask(Method::PATCH, &path, Some(&json!({"enabled": false}))).await;
    assert_eq!((paused.status.as_u16(), &paused.body["state"]), (200, &json!("disabled")), "{paused:?}");
    assert_eq!(replicas[0].client().register("b").await.status, 201);
    let resumed = replicas[0].client().ask(Method::PATCH, &path, Some(&json!({"enabled": true}))).await;
    assert_eq!((resumed.status.as_u16(), &resumed.body["position"]), (200, &json!(1)), "{resumed:?}");
    until_told(&told, 2).await;
    assert_eq!(*told.lock().expect("no panic"), [1, 2], "nothing was sent while it was paused, and none was lost");
    assert_eq!(replicas[1].client().ask(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(replicas[0].client().get(&path).await.status, 404);
    assert_eq!(replicas[0].client().register("c").await.status, 201);
    assert_eq!(*told.lock().expect("no panic"), [1, 2]);
}
