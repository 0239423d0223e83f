//! Readers of live streams that do not read.

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Client, Daemon, RawConnection, within_patience};

/// How many readers do not read.
const READERS: u64 = 60;

/// A burst of changes: more than the kernel holds for a reader, and less than a topic holds.
const CHANGES: usize = 40;
const DOCUMENT: usize = 120_000;

/// The resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// Makes a burst of changes at once; returns when a reader that reads has all of them.
async fn burst(client: &Client, number: usize) {
    let line = |n: usize| {
        let description = format!("{number} {}", "x".repeat(DOCUMENT));
        json!({"name": format!("p{n}"), "category": "c", "title": "T", "config_schema": {}, "description": description})
            .to_string()
            + "\n"
    };
    let before = client.get("/stats").answers(200).await.revision();
    let mut reader = client.watch("/events").await;
    client.import((0..CHANGES).map(line).collect::<String>()).await;
    let last = before + CHANGES as u64;
    within_patience("the burst", async { while reader.next().await.unwrap().revision() < last {} }).await;
}

#[tokio::test]
async fn each_reader_that_did_not_read_had_megabytes_of_its_own() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("registry.db")).await;
    let client = daemon.client();
    // The buffers of topics and caches fill.
    for number in 0..9 {
        burst(&client, number).await;
    }
    let before = resident(daemon.pid());
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = RawConnection::narrow(daemon.address).await;
        reader.send("GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await;
        reader.until("event: hello").await;
        readers.push(reader);
    }
    for number in 9..12 {
        burst(&client, number).await;
    }
    let grown = resident(daemon.pid()).saturating_sub(before);
    // Each is within its bounds: a connection, the buffer of hyper, and the pieces of a stream.
    assert!(grown / READERS < (300 << 10), "a reader costs {} KiB", (grown / READERS) >> 10);
    daemon.stop().await;
}
