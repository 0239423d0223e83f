//! One client cannot starve others: ten thousand connections that are silent or drip, and a good client beside
//! them; then the same over TLS, with what HTTP/2 offers to those who are slow.
//!
//! A binary of its own, so that no other test takes the processor away meanwhile.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it has measured"
)]

mod tls;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, split};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use plugin_registry::net::tls::trusting_no_server;

/// How many connections of each of the three kinds.
const OF_EACH: usize = 3_334;

/// The server's patience is 10 s; a connection that is open after this was not closed by it.
const CLOSED_WITHIN: Duration = Duration::from_secs(14);

/// One test at a time has the processor.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A way to be slow: what is sent at once, and the byte that follows every second.
#[derive(Clone, Copy, Debug)]
enum Slow {
    Silent,
    Header,
    Body,
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_connections_are_closed_while_a_good_client_is_served() {
    let _alone = ALONE.lock().await;
    let home = tempfile::tempdir().expect("a temporary folder");
    let store = format!("sqlite:{}", home.path().join("registry.db").display());
    let (_daemon, address) = serve(&store, &[]).await;
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
    tell(3 * OF_EACH, good.await.expect("the good client saw no error"));
    assert!(not_closed.is_empty(), "{} connections were left open, for example {:?}", not_closed.len(), not_closed[0]);
}

/// Starts the service on a store, and tells where it listens.
async fn serve(store: &str, flags: &[&str]) -> (Child, SocketAddr) {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("the limit of open files can be raised");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
        .args(["serve", "--listen", "127.0.0.1:0", "--probe-own-host=false", "--log-level", "warn", "--store", store])
        .args(flags)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary can be started");
    let mut line = String::new();
    let stdout = daemon.stdout.take().expect("standard output is a pipe");
    BufReader::new(stdout).read_line(&mut line).await.expect("it says where it listens");
    let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok()).expect("an address");
    (daemon, address)
}

/// Tells how the good client was served.
fn tell(slow: usize, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let p99 = latencies[latencies.len() * 99 / 100];
    println!("good client: {} requests beside {slow} slow ones, p99 {p99:?}", latencies.len());
    assert!(p99 < Duration::from_secs(1), "99 % of the requests were answered within {p99:?}");
}

/// Asks and registers, in turns, until it is told to stop. Any error is a panic.
async fn good_client(address: SocketAddr, stopped: watch::Receiver<bool>) -> Vec<Duration> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(trusting_no_server().expect("TLS"))
        .build()
        .expect("a client");
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
    let first: &[u8] = match kind {
        Slow::Silent => b"",
        Slow::Header => b"GET /plugins HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        Slow::Body => {
            b"POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        }
    };
    let drip: &[u8] = if matches!(kind, Slow::Silent) { b"" } else { b"a" };
    ended(stream, first, drip).await.map_err(|()| kind)
}

/// Sends what comes first, and then the same every second, until the server ends the connection.
async fn ended(stream: impl AsyncRead + AsyncWrite, first: &[u8], drip: &[u8]) -> Result<(), ()> {
    let (mut read, mut write) = split(stream);
    // The server may end the connection at any moment, so a write may fail.
    drop(write.write_all(first).await);
    drop(write.flush().await);
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
                _ = every_second.tick(), if !drip.is_empty() => {
                    drop(write.write_all(drip).await);
                    drop(write.flush().await);
                }
            }
        }
    };
    timeout(CLOSED_WITHIN, ended).await.map_err(|_| ())
}
