//! One client cannot starve others: thousands of connections that are silent or drip, and a good
//! client beside them.
//!
//! A binary of its own, so that no other test takes the processor away meanwhile.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it has measured"
)]

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

/// How many connections of each of the three kinds.
const OF_EACH: usize = 1_000;

/// The server's patience is 10 s; a connection that is open after this was not closed by it.
const CLOSED_WITHIN: Duration = Duration::from_secs(14);

/// A way to be slow: what is sent at once, and the byte that follows every second.
#[derive(Clone, Copy, Debug)]
enum Slow {
    Silent,
    Header,
    Body,
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_connections_are_closed_while_a_good_client_is_served() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("the limit of open files can be raised");

    let home = tempfile::tempdir().expect("a temporary folder");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
        .args(["serve", "--listen", "127.0.0.1:0", "--probe-own-host=false", "--log-level", "warn", "--store"])
        .arg(format!("sqlite:{}", home.path().join("registry.db").display()))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary can be started");
    let mut line = String::new();
    let stdout = daemon.stdout.take().expect("standard output is a pipe");
    BufReader::new(stdout).read_line(&mut line).await.expect("it says where it listens");
    let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok()).expect("an address");
    let (stop, stopped) = watch::channel(false);
    let good = tokio::spawn(good_client(address, stopped));

    let mut slow = JoinSet::new();
    for kind in [Slow::Silent, Slow::Header, Slow::Body] {
        for _ in 0..OF_EACH {
            slow.spawn(closed_by_server(address, kind));
        }
    }
    let mut not_closed = Vec::new();
    while let Some(ended) = slow.join_next().await {
        not_closed.extend(ended.expect("the connection's task lives").err());
    }
    stop.send_replace(true);
    let mut latencies = good.await.expect("the good client saw no error");
    latencies.sort_unstable();
    let p99 = latencies[latencies.len() * 99 / 100];
    println!("good client: {} requests beside {} slow ones, p99 {p99:?}", latencies.len(), 3 * OF_EACH);
    assert!(not_closed.is_empty(), "{} connections were left open, for example {:?}", not_closed.len(), not_closed[0]);
}

/// Asks and registers, in turns, until it is told to stop. Any error is a panic.
async fn good_client(address: SocketAddr, stopped: watch::Receiver<bool>) -> Vec<Duration> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut latencies = Vec::new();
    while !*stopped.borrow() {
        let number = latencies.len();
        let began = Instant::now();
        let answer = if number % 4 == 0 {
            let body = format!(r#"{{"name":"n{number}","category":"good","title":"t","config_schema":{{}}}}"#);
            let post = client.post(format!("http://{address}/plugins")).header("content-type", "application/json");
            post.body(body).send().await
        } else {
            client.get(format!("http://{address}/plugins?active=true")).send().await
        };
        let answer = answer.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.bytes().await.expect("a whole answer");
        latencies.push(began.elapsed());
    }
    latencies
}

/// Is slow in one way, until the server ends the connection.
async fn closed_by_server(address: SocketAddr, kind: Slow) -> Result<(), Slow> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut read, mut write) = stream.into_split();
    let first: &[u8] = match kind {
        Slow::Silent => b"",
        Slow::Header => b"GET /plugins HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        Slow::Body => {
            b"POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        }
    };
    // The server may end the connection at any moment, so a write may fail.
    drop(write.write_all(first).await);
    let ended = async {
        let mut every_second = interval(Duration::from_secs(1));
        let mut answer = [0; 1024];
        loop {
            tokio::select! {
                read = read.read(&mut answer) => match read {
                    Ok(0) | Err(_) => return,
                    // A 408 for a slow body; the end follows.
                    Ok(_) => {}
                },
                _ = every_second.tick(), if !matches!(kind, Slow::Silent) => drop(write.write_all(b"a").await),
            }
        }
    };
    timeout(CLOSED_WITHIN, ended).await.map_err(|_| kind)
}
