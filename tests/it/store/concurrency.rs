//! Concurrent requests.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Server, minimal, named};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_registrations_at_once_have_distinct_gapless_revisions() {
    let server = Server::start().await;
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let client = server.client();
            tokio::spawn(async move {
                let reply = client.register(&named("c", &n.to_string())).await;
                assert_eq!(
                    reply.json()["revision"],
                    reply.etag().trim_matches('"').rsplit('-').next().unwrap().parse::<u64>().unwrap()
                );
                let own = reply.json()["revision"].as_u64().unwrap();
                assert!(reply.revision() >= own);
                // A client that has a response reads its own write.
                let read = client.get(reply.header("location").unwrap()).answers(200).await;
                assert!(read.revision() >= own);
                own
            })
        })
        .collect();
    let mut revisions = BTreeSet::new();
    for task in tasks {
        revisions.insert(task.await.unwrap());
    }
    assert_eq!(revisions, (1..=64).collect());
    assert_eq!(server.client().get("/plugins").answers(200).await.json()["total"], 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_of_many_concurrent_registrations_creates_the_plugin() {
    let server = Server::start().await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let client = server.client();
            tokio::spawn(async move { client.post("/plugins", &minimal()).send().await })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        let reply = task.await.unwrap();
        assert_eq!(reply.json()["revision"], 1);
        statuses.push(reply.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[31], &statuses[..31]), (201, &[200_u16; 31][..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrently_added_pids_are_all_kept() {
    let server = Server::start().await;
    server.client().register(&minimal()).await;
    let tasks: Vec<_> = (1..=48)
        .map(|pid| {
            let client = server.client();
            tokio::spawn(async move {
                let body = json!({"spawned_pids": [pid]});
                client.post("/plugins/transcription_whisper/spawned_pids", &body).answers(200).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let plugin = server.client().get("/plugins/transcription_whisper").answers(200).await.json();
    let pids: BTreeSet<_> =
        plugin["spawned_pids"].as_array().unwrap().iter().map(|pid| pid.as_u64().unwrap()).collect();
    assert_eq!((pids, &plugin["revision"]), ((1..=48).collect(), &json!(49)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_sees_an_older_revision_after_a_newer_one() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let writer = {
        let client = server.client();
        tokio::spawn(async move {
            for n in 0..60 {
                client.patch("/plugins/transcription_whisper", &json!({"version": n.to_string()})).answers(200).await;
            }
        })
    };
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let client = server.client();
            tokio::spawn(async move {
                let mut newest = 0;
                while newest < 61 {
                    let list = client.get("/plugins").answers(200).await;
                    let (head, body) = (list.revision(), list.json());
                    assert_eq!(body["revision"], head, "one revision for header and body");
                    assert_eq!(body["items"][0]["revision"], head, "of the only plugin that ever changes");
                    assert!(head >= newest, "{head} after {newest}");
                    newest = head;
                }
            })
        })
        .collect();
    writer.await.unwrap();
    for reader in readers {
        crate::harness::within_patience("the newest revision", reader).await.unwrap();
    }
}
