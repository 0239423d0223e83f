//! What one replica's reader sees of another's writes.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use tokio_postgres::NoTls;

use crate::cluster::{Cluster, url_by};
use crate::replica::{Client, Replica, plugin};
use crate::within_patience;

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_write_is_seen_everywhere_by_those_who_ask_for_it() {
    let cluster = Cluster::start();
    // All at once on an empty database: one of them makes the schema.
    let replicas = Replica::start_many(&cluster.url(), 3).await;
    let clients: Vec<Client> = replicas.iter().map(Replica::client).collect();
    for round in 0..30 {
        let name = format!("p{round}");
        let writer = &clients[round % 3];
        let written = writer.register(&name).await;
        assert_eq!(written.status, 201);
        let revision = written.revision();
        for client in &clients {
            let strong = client.get(&format!("/plugins/c_{name}?consistency=strong")).await;
            assert_eq!(strong.status, 200, "round {round}");
            let waited = client.get(&format!("/plugins/c_{name}?min_revision={revision}")).await;
            assert_eq!((waited.status.as_u16(), &waited.body), (200, &written.body));
            assert!(waited.revision() >= revision);
        }
    }
    // Uniqueness, unique_id and If-Match hold between replicas.
    let stands = clients[1].register("p0").await;
    assert_eq!(stands.status, 200);
    let other = json!({"name": "y", "category": "c_p0", "title": "t", "config_schema": {}});
    assert_eq!(clients[0].ask(Method::POST, "/plugins", Some(&other)).await.status, 201);
    let taken = json!({"name": "p0_y", "category": "c", "title": "t", "config_schema": {}});
    assert_eq!(clients[2].ask(Method::POST, "/plugins", Some(&taken)).await.status, 409);
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_writes_all_the_time_is_told_of_others_once_it_ends() {
    let cluster = Cluster::start();
    let replicas = Replica::start_many(&cluster.url(), 2).await;
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.expect("the server runs");
    tokio::spawn(connection);
    let until = async |statement: &str, sessions: i64| {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'idle'";
        within_patience(statement, async {
            while client.query_one(query, &[&statement]).await.expect("an answer").get::<_, i64>(0) != sessions {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    };
    until("LISTEN plugin_registry", 2).await;
    let writing = futures_util::future::join_all((0..4).map(|writer| {
        let client = replicas[0].client();
        async move {
            for number in 0_u64.. {
                assert_eq!(client.register(&format!("w{writer}_{number}")).await.status, 201);
            }
        }
    }));
    tokio::select! {
        _ = writing => {}
        () = until("UNLISTEN plugin_registry", 1) => {}
    }
    until("LISTEN plugin_registry", 2).await;
    assert_eq!(replicas[1].client().register("other").await.status, 201);
    within_patience("what another has written", async {
        while replicas[0].client().get("/plugins/c_other").await.status != 200 {}
    })
    .await;
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_is_done_once_whichever_replicas_it_is_sent_to() {
    let cluster = Cluster::start();
    let replicas = Replica::start_many(&cluster.url(), 3).await;
    for round in 0..20 {
        let (body, key) = (plugin(&format!("k{round}")), format!("key-{round}"));
        let requests = replicas.iter().cycle().take(9).map(|replica| {
            let (client, body, key) = (replica.client(), &body, &key);
            async move { client.try_to_ask(Method::POST, "/plugins", Some(body), &[("idempotency-key", key)]).await }
        });
        let answers = futures_util::future::join_all(requests).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
        let first = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
        assert_eq!(first, 1, "round {round}");
        for answer in &answers {
            assert_eq!((answer.status.as_u16(), &answer.body), (201, &answers[0].body), "round {round}");
            assert_eq!(answer.header("etag"), answers[0].header("etag"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_register_one_unique_id_at_all_replicas_one_does() {
    let cluster = Cluster::start();
    let replicas = Replica::start_many(&cluster.url(), 3).await;
    for round in 0..20 {
        // Two pairs that would make one unique_id, each sent to every replica, all at once.
        let pairs = [("a", format!("{round}_b")), (&*format!("a_{round}"), "b".to_owned())];
        let requests = replicas.iter().flat_map(|replica| {
            pairs.clone().map(|(category, name)| {
                let body = json!({"name": name, "category": category, "title": "t", "config_schema": {}});
                let client = replica.client();
                async move { client.ask(Method::POST, "/plugins", Some(&body)).await.status.as_u16() }
            })
        });
        let mut answers = futures_util::future::join_all(requests).await;
        answers.sort_unstable();
        assert_eq!(answers, [200, 200, 201, 409, 409, 409], "round {round}");
    }
}

/// A watcher goes from one replica to the next with `Last-Event-ID`, while all of them write.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_moves_between_replicas_and_misses_nothing() {
    const CHANGES: u64 = 600;
    let cluster = Cluster::start();
    let replicas = Replica::start_many(&cluster.url(), 3).await;
    let writers = replicas.iter().enumerate().map(|(place, replica)| {
        let client = replica.client();
        tokio::spawn(async move {
            for n in 0..CHANGES / 3 {
                assert_eq!(client.register(&format!("w{place}-{n}")).await.status, 201);
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let watching = async {
        let (mut seen, mut last, mut moves) = (Vec::new(), None::<String>, 0);
        while seen.len() < usize::try_from(CHANGES).expect("few") {
            let client = replicas[moves % 3].client();
            moves += 1;
            seen.extend(watch_some(&client, &mut last, 7 + moves % 20).await);
        }
        (seen, moves)
    };
    let (seen, moves) = within_patience("the watcher", watching).await;
    assert_eq!(seen[..600], (1..=CHANGES).collect::<Vec<_>>()[..], "each once and in order");
    println!("{CHANGES} changes were seen over {moves} moves between replicas");
    for writer in writers {
        writer.await.expect("a writer panicked");
    }
}

/// Watches a replica until so many events have come; returns their revisions.
async fn watch_some(client: &Client, last: &mut Option<String>, number: usize) -> Vec<u64> {
    let mut request = client.request(Method::GET, "/events?after=0").header("accept", "text/event-stream");
    if let Some(last) = &last {
        request =
            client.request(Method::GET, "/events").header("accept", "text/event-stream").header("last-event-id", last);
    }
    let response = request.send().await.expect("the stream opens");
    assert_eq!(response.status(), 200);
    let (mut stream, mut buffer, mut revisions) = (response.bytes_stream(), String::new(), Vec::new());
    while revisions.len() < number {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(2), stream.next()).await;
        // Nothing for a while: all is written, or the next replica knows more.
        let Ok(Some(Ok(chunk))) = chunk else { break };
        buffer.push_str(std::str::from_utf8(&chunk).expect("an event is text"));
        while let Some(end) = buffer.find("\n\n") {
            let block: String = buffer.drain(..end + 2).collect();
            let id = block.lines().find_map(|line| line.strip_prefix("id: "));
            if let Some(id) = id.filter(|_| block.contains("event: change")) {
                revisions.push(id.rsplit('-').next().and_then(|revision| revision.parse().ok()).expect("a revision"));
                *last = Some(id.to_owned());
            }
            if revisions.len() == number {
                break;
            }
        }
    }
    revisions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_missed_more_than_the_journal_keeps_reads_all_anew() {
    let cluster = Cluster::start();
    let way = crate::network::Network::to(cluster.port).await;
    let (near, far) = (Replica::start(&cluster.url()).await, Replica::start(&url_by(way.port)).await);
    near.client().register("first").await;
    far.client().until("the first plugin", "/plugins/c_first", |answer| answer.status == 200).await;
    way.set(crate::network::Weather::Broken);
    let lines: Vec<_> = (0..3_000).map(|n| plugin(&format!("n{n}")).to_string()).collect();
    let imported = near.client().request(Method::POST, "/plugins").header("content-type", "application/x-ndjson");
    assert_eq!(imported.body(lines.join("\n")).send().await.expect("an answer").status(), 200);
    near.stop().await;
    // As the service would, with a journal that keeps a hundred changes.
    let keeping = std::process::Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
        .args(["serve", "--listen", "127.0.0.1:0", "--journal-keep", "100,90d", "--store", &cluster.url()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut keeping = keeping.expect("it can be started");
    let url = cluster.url();
    within_patience("the compaction", async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        loop {
            let query = "SELECT horizon FROM plugin_registry.registry";
            let row = client.query_one(query, &[]).await.expect("the horizon");
            if row.get::<_, i64>(0) >= 2_901 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    keeping.kill().expect("it can be killed");
    keeping.wait().expect("it can be waited for");
    way.set(crate::network::Weather::Fair);
    let answer = far.client().until("all plugins", "/stats", |answer| answer.body["total"] == 3_001).await;
    assert_eq!(answer.revision(), 3_001);
    assert_eq!(far.client().register("last").await.status, 201);
    far.stop().await;
}
