//! The database is away: at the start, for a while, in the middle of a commit, or it comes back older than it was.

use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, url_by};
use crate::network::{Network, Weather};
use crate::replica::{Replica, plugin};
use crate::within_patience;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_at_the_start_is_waited_for() {
    let cluster = Cluster::make();
    let replica = Replica::start(&cluster.url()).await;
    let client = replica.client();
    assert_eq!(client.get("/healthz").await.status, 200);
    let ready = client.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.body["detail"].as_str().is_some_and(|why| why.contains("the database cannot be reached")),
        "{ready:?}"
    );
    // Nothing is said of plugins by one who does not know any: not that there are none.
    for path in ["/plugins", "/plugins/c_x", "/stats", "/events", "/webhooks", "/plugins?consistency=strong"] {
        let answer = client.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after").is_some()), (503, true), "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(client.register("early").await.status, 503);
    assert_eq!(client.get("/openapi.json").await.status, 200);
    cluster.run();
    client.until_ready().await;
    assert_eq!(client.register("p").await.status, 201);
    assert_eq!(client.get("/plugins/c_early").await.status, 404, "what was refused was not done");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_no_outage() {
    let cluster = Cluster::start();
    let url = format!("postgres://nobody:hush@127.0.0.1:{}/postgres?sslmode=disable", cluster.port);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_plugin-registry"));
    let ended = command.args(["serve", "--listen", "127.0.0.1:0", "--store", &url]).env_clear().output();
    let ended = within_patience("the end", ended).await.expect("it can be started");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("role \"nobody\" does not exist"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_reads_go_on_and_tell_their_age() {
    let cluster = Cluster::start();
    let replica = Replica::start(&cluster.url()).await;
    let client = replica.client();
    assert_eq!(client.register("p").await.status, 201);
    cluster.kill();
    let refused = client.ask(Method::PATCH, "/plugins/c_p", Some(&json!({"title": "new"}))).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after").is_some()), (503, true), "{refused:?}");
    let aged = client.until("an answer that is old", "/plugins/c_p", |answer| answer.header("registry-age").is_some());
    let aged = aged.await;
    assert_eq!((aged.status.as_u16(), &aged.body["title"]), (200, &json!("p")));
    let ready = client.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.body["status"]), (200, &json!("read_only")), "{ready:?}");
    assert!(ready.body["age_seconds"].as_u64().is_some_and(|age| age >= 3), "{ready:?}");
    assert_eq!(client.get("/plugins?consistency=strong").await.status, 503, "the head cannot be asked");
    assert_eq!(client.get("/plugins/c_p/history").await.status, 503, "nor the past");
    cluster.run();
    client.until("it is fresh", "/plugins", |answer| answer.header("registry-age").is_none()).await;
    client.until("it can write", "/readyz", |answer| answer.body["status"] == "ready").await;
    assert_eq!(client.ask(Method::PATCH, "/plugins/c_p", Some(&json!({"title": "new"}))).await.status, 200);
    replica.stop().await;
}

/// The answer to a commit is lost: it was done, nobody knows it, and the next batch finds out before it decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_outcome_is_not_known_is_found_out_before_the_next_batch() {
    let cluster = Cluster::start();
    let way = Network::to(cluster.port).await;
    let (replica, witness) = (Replica::start(&url_by(way.port)).await, Replica::start(&cluster.url()).await);
    let client = replica.client();
    assert_eq!(client.register("before").await.status, 201);
    let mut lost = 0;
    for round in 0..40 {
        let name = format!("p{round}");
        // At some moment of the exchange the answers stop coming.
        let cut = async {
            tokio::time::sleep(Duration::from_micros(50 * round)).await;
            way.set(Weather::Deaf);
            tokio::time::sleep(Duration::from_millis(5)).await;
            way.set(Weather::Broken);
        };
        let (answer, ()) = tokio::join!(client.register(&name), cut);
        way.set(Weather::Fair);
        let found = witness.client().get(&format!("/plugins/c_{name}?consistency=strong")).await.status == 200;
        match answer.status.as_u16() {
            201 => assert!(found, "round {round}: it was acknowledged"),
            503 if found => lost += 1,
            503 => {}
            other => panic!("round {round}: {other}"),
        }
        // It is safe to repeat: it is there once.
        let again = client.register(&name).await;
        assert_eq!(again.status, if found { 200 } else { 201 }, "round {round}: {again:?}");
        let seen = witness.client().get(&format!("/plugins/c_{name}?consistency=strong")).await;
        assert_eq!(seen.body, again.body, "round {round}");
    }
    println!("{lost} of 40 commits were done without anybody being told");
    let events = client.get("/events?limit=1000").await;
    let revisions: Vec<_> = events.body["items"].as_array().expect("a list").iter().map(|event| &event["id"]).collect();
    let expected: Vec<_> = (1..=41).map(|revision: u32| json!(revision.to_string())).collect();
    assert_eq!(revisions, expected.iter().collect::<Vec<_>>(), "no gap, and none twice");
}

/// A replica is stopped for longer than a session may be idle within a transaction: it must hold up nobody, and catch up.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stands_still_holds_up_nobody_for_long() {
    let cluster = Cluster::start();
    let replicas = Replica::start_many(&cluster.url(), 2).await;
    let (still, other) = (&replicas[0], &replicas[1]);
    // It is stopped in the middle of a storm of writes, so that some stops are in the middle of a batch.
    let client = still.client();
    let storm = tokio::spawn(async move {
        for n in 0.. {
            if client.try_to_ask(Method::POST, "/plugins", Some(&plugin(&format!("storm{n}"))), &[]).await.is_err() {
                return;
            }
        }
    });
    let mut slowest = Duration::ZERO;
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(150 + 7 * round)).await;
        still.signal(Signal::STOP);
        let began = tokio::time::Instant::now();
        for n in 0..5 {
            let written = other.client().register(&format!("r{round}-{n}")).await;
            assert_eq!(written.status, 201, "round {round}: {written:?}");
        }
        slowest = slowest.max(began.elapsed());
        still.signal(Signal::CONT);
    }
    println!("five writes took at most {slowest:?} while the other replica stood still");
    storm.abort();
    let head = other.client().get("/stats?consistency=strong").await;
    let caught_up =
        still.client().until("it has caught up", "/stats", |stats| stats.revision() >= head.revision()).await;
    let strong = still.client().get("/stats?consistency=strong").await;
    assert!(strong.revision() >= caught_up.revision());
    assert_eq!(still.client().register("after").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_cut_off_refuses_writes_and_comes_back() {
    let cluster = Cluster::start();
    let way = Network::to(cluster.port).await;
    let (cut_off, other) = (Replica::start(&url_by(way.port)).await, Replica::start(&cluster.url()).await);
    assert_eq!(cut_off.client().register("p").await.status, 201);
    way.set(Weather::Silent);
    let began = tokio::time::Instant::now();
    let refused = cut_off.client().register("lost").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(35), "it gives up by itself: {:?}", began.elapsed());
    assert_eq!(other.client().register("q").await.status, 201, "the other goes on");
    let old = cut_off.client().get("/plugins/c_p").await;
    assert!(old.status == 200 && old.header("registry-age").is_some(), "{old:?}");
    assert_eq!(cut_off.client().get("/plugins/c_q").await.status, 404, "it does not know it");
    way.set(Weather::Broken);
    way.set(Weather::Fair);
    cut_off.client().until("it comes back", "/plugins/c_q", |answer| answer.status == 200).await;
    assert_eq!(cut_off.client().register("r").await.status, 201);
}

/// The URL names two servers. The first one ends, and the second, which has everything, takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_everything_takes_over() {
    let first = Cluster::make();
    let second = Cluster::make();
    let (one, other) = (first.port, second.port);
    drop(second);
    first.run();
    let url = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/postgres?sslmode=disable");
    let replica = Replica::start(&url).await;
    let client = replica.client();
    assert_eq!(client.register("p").await.status, 201);
    first.stop();
    let second = first.twin_at(other);
    second.run();
    client.until("it has found the other", "/plugins?consistency=strong", |answer| answer.status == 200).await;
    let written = client.register("q").await;
    assert_eq!((written.status.as_u16(), written.revision()), (201, 2));
    replica.stop().await;
}

/// A server that was behind takes over: what replicas have shown and acknowledged is not there any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_went_back_is_refused_loudly_and_never_merged() {
    let cluster = Cluster::start();
    let replica = Replica::start(&cluster.url()).await;
    let client = replica.client();
    assert_eq!(client.register("kept").await.status, 201);
    cluster.stop();
    let copy = cluster.copy();
    cluster.run();
    client.until("it can write", "/plugins?consistency=strong", |answer| answer.status == 200).await;
    assert_eq!(client.register("lost").await.status, 201);
    cluster.stop();
    cluster.put_back(&copy);
    cluster.run();
    let refused = client.register("more").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(client.get("/plugins/c_lost").await.status, 200, "what was shown is not taken back");
    replica.until_logged("the store's head went back from revision 2 to 1").await;
    // Another replica, which knows nothing else, writes to the older copy until it is as long as what was lost.
    let other = Replica::start(&cluster.url()).await;
    assert_eq!(other.client().register("instead").await.status, 201);
    assert_eq!(client.register("more").await.status, 503, "the same revision of another history");
    assert_eq!(other.client().register("longer").await.status, 201);
    assert_eq!(client.register("more").await.status, 503);
    replica.until_logged("differs from the one that this process has loaded").await;
    assert_eq!(client.get("/plugins/c_instead").await.status, 404, "nothing is merged");
    assert_eq!(other.client().get("/plugins/c_more").await.status, 404);
}

/// A database that answers slowly: those who wait are refused in time, and no queue grows without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_makes_nobody_wait_for_ever() {
    let cluster = Cluster::start();
    let way = Network::to(cluster.port).await;
    let replica = Replica::start(&url_by(way.port)).await;
    let client = replica.client();
    assert_eq!(client.register("p").await.status, 201);
    way.set(Weather::Silent);
    let requests = (0..200).map(|n| {
        let client = client.clone();
        async move { client.register(&format!("n{n}")).await }
    });
    let began = tokio::time::Instant::now();
    let answers = futures_util::future::join_all(requests).await;
    assert!(began.elapsed() < Duration::from_secs(35), "{:?}", began.elapsed());
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.header("retry-after").is_some()), (503, true), "{answer:?}");
    }
    assert_eq!(client.get("/plugins/c_p").await.status, 200);
    way.set(Weather::Fair);
    client.until("it can write", "/plugins?consistency=strong", |answer| answer.status == 200).await;
    assert_eq!(client.register("after").await.status, 201);
}
