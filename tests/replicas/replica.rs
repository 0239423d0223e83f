//! `plugin-registry serve` on a database, and its client.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::within_patience;
use plugin_registry::net::tls::trusting_no_server;
use plugin_registry::store::StoreUrl;

/// A replica.
pub(crate) struct Replica {
    url: String,
    child: Child,
    log: NamedTempFile,
    /// Where it listens; the same after it was killed and started again.
    pub(crate) address: SocketAddr,
}

impl Replica {
    /// Starts one on the database at a URL, and waits until it listens.
    pub(crate) async fn start(url: &str) -> Replica {
        assert!(matches!(url.parse(), Ok(StoreUrl::Postgres(_))), "{url}");
        Replica::start_on(url).await
    }

    /// Starts one on any store.
    pub(crate) async fn start_on(url: &str) -> Replica {
        let log = NamedTempFile::new().expect("a temporary file");
        let (child, address) = spawn(url, "127.0.0.1:0", &log).await;
        Replica { url: url.to_owned(), child, log, address }
    }

    /// Starts some on one database, at once.
    pub(crate) async fn start_many(url: &str, number: usize) -> Vec<Replica> {
        futures_util::future::join_all((0..number).map(|_| Replica::start(url))).await
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Starts it again where it was.
    pub(crate) async fn start_again(&mut self) {
        (self.child, self.address) = spawn(&self.url, &self.address.to_string(), &self.log).await;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("it runs");
        kill_process(pid, signal).expect("it can be signalled");
    }

    /// Stops it, which must go well.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = within_patience("the end of a replica", self.child.wait()).await.expect("it can be waited for");
        assert!(ended.success(), "{}", self.log());
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("the log is text")
    }

    /// Waits until it has logged a text: lines are written a moment later.
    pub(crate) async fn until_logged(&self, text: &str) {
        within_patience(text, async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    pub(crate) fn client(&self) -> Client {
        Client {
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_backend_preconfigured(trusting_no_server().expect("TLS"))
                .build()
                .expect("a client"),
            address: self.address,
        }
    }
}

async fn spawn(url: &str, listen: &str, log: &NamedTempFile) -> (Child, SocketAddr) {
    let log = std::fs::File::options().append(true).open(log.path()).expect("the log can be opened");
    let mut child = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
        .args(["serve", "--listen", listen, "--log-level", "info,plugin_registry::http=warn"])
        .args(["--webhooks-allow-private=true"])
        .env_clear()
        // Not on the command line: a URL may hold a password, and everybody can read the arguments of a process.
        .env("PLUGIN_REGISTRY_STORE", url)
        // The process ids that it is told are made up.
        .env("PLUGIN_REGISTRY_PROBE_OWN_HOST", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("the binary can be started");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let said = BufReader::new(stdout).read_line(&mut line).await;
    said.expect("standard output can be read");
    let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok());
    (child, address.unwrap_or_else(|| panic!("it said {line:?}")))
}

/// A client of one replica. A request that gets no answer is an error, and nothing more is known of it.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address)).timeout(Duration::from_secs(40))
    }

    /// Sends a request that must be answered.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.try_to_ask(method, path, body, &[]).await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    /// Registers a plugin.
    pub(crate) async fn register(&self, name: &str) -> Answer {
        self.ask(Method::POST, "/plugins", Some(&plugin(name))).await
    }

    /// Sends a request with header fields; an error when it is not answered.
    pub(crate) async fn try_to_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        fields: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let media_type = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.header("content-type", media_type).body(body.to_string());
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await?).await
    }

    /// Waits until it answers a read with 200.
    pub(crate) async fn until_ready(&self) {
        self.until("it is ready", "/readyz", |answer| answer.status == 200).await;
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn until(&self, what: &str, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let asking = async {
            loop {
                if let Ok(answer) = self.try_to_ask(Method::GET, path, None, &[]).await
                    && wanted(&answer)
                {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within_patience(what, asking).await
    }
}

impl Answer {
    async fn of(response: Response) -> Result<Answer, reqwest::Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Registry-Revision`.
    pub(crate) fn revision(&self) -> u64 {
        self.header("registry-revision").and_then(|revision| revision.parse().ok()).expect("every answer has it")
    }
}

/// A plugin to register.
pub(crate) fn plugin(name: &str) -> Value {
    json!({"name": name, "category": "c", "title": name, "config_schema": {}})
}
