//! The process: its start, its command line, its end.

use std::time::Duration;

use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish, run};
use crate::harness::{Daemon, PATIENCE, Server, minimal, named, within_patience};
use plugin_registry::net::tls::trusting_no_server;

fn folder() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    (folder, store)
}

#[rstest]
#[case::term(Signal::TERM)]
#[case::int(Signal::INT)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_under_load_finishes_or_refuses_each_request(#[case] signal: Signal) {
    let (_folder, store) = folder();
    let daemon = Daemon::start(&store).await;
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (http, address, said) = (
                reqwest::Client::builder()
                    .no_proxy()
                    .tls_backend_preconfigured(trusting_no_server().expect("TLS"))
                    .build()
                    .unwrap(),
                daemon.address,
                said.clone(),
            );
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let name = format!("{writer}-{n}");
                    let call = http.post(format!("http://{address}/plugins")).json(&named("c", &name)).send();
                    match tokio::time::timeout(PATIENCE, call).await.expect("an answer or an end, never a hang") {
                        Ok(response) if response.status() == 201 => {
                            let document: Value = response.json().await.expect("an answer that has begun is whole");
                            acknowledged.push((name, document["revision"].as_u64().unwrap()));
                            // After the signal the port is closed.
                            let _counted = said.send(());
                        }
                        Ok(response) => {
                            assert_eq!(response.status(), 503, "refused, not failed");
                            let problem: Value = response.json().await.expect("a whole problem");
                            assert!(problem["detail"].as_str().unwrap().contains("shutting down"), "{problem}");
                            return acknowledged;
                        }
                        Err(_closed) => return acknowledged,
                    }
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..40 {
        heard.recv().await.unwrap();
    }
    daemon.signal(signal);
    let (status, log) = daemon.exit().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    assert!(acknowledged.len() >= 40);
    let again = Daemon::start(&store).await;
    let kept = again.client().get("/plugins?limit=10000").answers(200).await;
    let items = kept.items();
    for (name, revision) in &acknowledged {
        let found =
            items.iter().find(|item| item["name"] == *name.as_str()).unwrap_or_else(|| panic!("{name} was lost"));
        assert_eq!(found["revision"], *revision);
    }
    assert_eq!(kept.revision(), items.len() as u64, "every revision is one of these registrations");
    again.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_silent_or_half_sent_connections() {
    let (_folder, store) = folder();
    let daemon = Daemon::start_with(&store, &["--shutdown-grace", "1"]).await;
    let mut silent = daemon.raw().await;
    let mut idle = daemon.raw().await;
    assert_eq!(idle.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, 200);
    let mut half = daemon.raw().await;
    half.send("GET /healthz HTTP/1.1\r\nHo").await;
    // A response on a later connection shows that the earlier ones were accepted.
    assert_eq!(daemon.raw().await.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, 200);
    let begun = tokio::time::Instant::now();
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.exit().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    for connection in [&mut silent, &mut idle, &mut half] {
        connection.rest().await;
    }
}

#[tokio::test]
async fn a_running_request_finishes_after_sigterm() {
    let (_folder, store) = folder();
    let daemon = Daemon::start(&store).await;
    let body = minimal().to_string();
    let mut raw = daemon.raw().await;
    let head = format!(
        "POST /plugins HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // The handler is running: it waits for the body.
    assert_eq!(raw.ask(head).await.status, 100);
    daemon.signal(Signal::TERM);
    within_patience("it stops", async {
        while !daemon.log().contains("waiting for running requests") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let reply = raw.ask(body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.headers["connection"], "close", "the client learns that this was the last answer");
    let (status, log) = daemon.exit().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let again = Daemon::start(&store).await;
    assert_eq!(again.client().get("/plugins").answers(200).await.json()["total"], 1);
    again.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_reported() {
    let server = Server::in_memory().await;
    let (_folder, store) = folder();
    let listen = server.address.to_string();
    let output = run(&["serve", "--listen", &listen, "--store", &format!("sqlite:{}", store.display())]).await;
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("port {} on 127.0.0.1 is already in use", server.address.port())), "{said}");
    assert!(said.contains("choose another port with --listen 127.0.0.1:"), "{said}");
    assert!(output.stdout.is_empty(), "it does not say that it listens");
}

#[tokio::test]
async fn health_reports_by_its_exit_code() {
    let server = Server::in_memory().await;
    let listen = server.address.to_string();
    assert_eq!(run(&["health", "--listen", &listen]).await.status.code(), Some(0));
    // As a container calls it: with settings in the environment, and an unspecified address.
    let mut command = binary();
    command.arg("health").env("PLUGIN_REGISTRY_LISTEN", format!("0.0.0.0:{}", server.address.port()));
    command.env("PLUGIN_REGISTRY_STORE", "sqlite:/data/plugin-registry.db").env("http_proxy", "http://127.0.0.1:1");
    let output = finish(command).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    server.stop().await;
    let output = run(&["health", "--listen", &listen]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains(&listen), "{}", complaint(&output));
}

#[tokio::test]
async fn health_has_a_timeout() {
    // A listener that never responds.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = silent.local_addr().unwrap().to_string();
    let output = run(&["health", "--timeout", "1", "--listen", &listen]).await;
    assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
}

#[tokio::test]
async fn help_shows_examples_and_version_shows_the_version() {
    let help = run(&["--help"]).await;
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for word in [
        "serve",
        "health",
        "openapi",
        "--listen",
        "--store",
        "127.0.0.1:8080",
        "PLUGIN_REGISTRY_",
        "findings",
        "sqlite:",
    ] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    let serve = String::from_utf8(run(&["serve", "--help"]).await.stdout).unwrap();
    for flag in ["--listen", "--store", "--log-format", "--log-level", "PLUGIN_REGISTRY_LOG_LEVEL"] {
        assert!(serve.contains(flag), "{flag} is missing in\n{serve}");
    }
    let version = run(&["--version"]).await;
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("plugin-registry {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn openapi_prints_the_served_description() {
    let printed = run(&["openapi"]).await;
    assert_eq!(printed.status.code(), Some(0), "{}", complaint(&printed));
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let served = Server::in_memory().await.client().get("/openapi.json").answers(200).await.json();
    assert_eq!(printed.to_string(), served.to_string());
}

#[rstest]
#[case::store(&["--store", "mysql:x"], "sqlite:PATH")]
#[case::database_without_host(&["--store", "postgres:///registry"], "host")]
#[case::store_without_path(&["--store", "sqlite:"], "path")]
#[case::listen(&["--listen", "localhost"], "--listen")]
#[case::port(&["--listen", "127.0.0.1:99999"], "--listen")]
#[case::log_format(&["--log-format", "xml"], "text, json")]
#[case::log_level(&["--store", "memory", "--log-level", "loud=1=2"], "log level")]
#[case::unknown_flag(&["--stor", "memory"], "--store")]
#[case::unknown_command(&["serv"], "serve")]
#[tokio::test]
async fn a_wrong_setting_is_refused_with_a_hint(#[case] args: &[&str], #[case] told: &str) {
    let output = run(args).await;
    let said = complaint(&output);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
    assert!(said.contains(told), "{said}");
}

#[tokio::test]
async fn flags_override_the_environment_which_overrides_defaults() {
    let (folder, store) = folder();
    // Without a command it serves; the environment names the store, and a flag the address.
    let mut command = binary();
    command.current_dir(folder.path()).args(["--listen", "127.0.0.1:0"]);
    command
        .env("PLUGIN_REGISTRY_LISTEN", "192.0.2.1:1")
        .env("PLUGIN_REGISTRY_STORE", format!("sqlite:{}", store.display()));
    let daemon = Daemon::spawn(command).await;
    daemon.client().register(&minimal()).await;
    daemon.stop().await;
    assert!(store.is_file());
    // Only the environment, with the command.
    let mut command = binary();
    command.arg("serve").env("PLUGIN_REGISTRY_LISTEN", "127.0.0.1:0");
    command.env("PLUGIN_REGISTRY_STORE", format!("sqlite:{}", store.display()));
    let daemon = Daemon::spawn(command).await;
    assert_eq!(daemon.client().get("/plugins").answers(200).await.json()["total"], 1);
    daemon.stop().await;
    // Only the address: the default store is a file in the working directory.
    let mut command = binary();
    command.current_dir(folder.path()).args(["--listen", "127.0.0.1:0"]);
    Daemon::spawn(command).await.stop().await;
    assert!(folder.path().join("plugin-registry.db").is_file());
}

#[tokio::test]
async fn each_request_is_one_line_in_the_log_without_its_body() {
    let (_folder, store) = folder();
    let daemon = Daemon::start_with(&store, &["--log-format", "json"]).await;
    let client = daemon.client();
    let mut body = minimal();
    body["description"] = json!("s3cret-description");
    client.post("/plugins", &body).header("x-request-id", "my-id").answers(201).await;
    client.put("/plugins/transcription_whisper/config", &json!({"key": "s3cret-config"})).answers(200).await;
    client.get("/nowhere?q=s3cret-query").refused(404).await;
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.exit().await;
    assert!(!log.contains("s3cret"), "{log}");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let answered: Vec<_> = lines.iter().filter(|line| line["message"] == "answered").collect();
    assert_eq!(answered.len(), 3, "{log}");
    let first = answered[0].to_string();
    for part in ["POST", "/plugins", "201", "my-id", "latency_ms"] {
        assert!(first.contains(part), "{part} is missing in {first}");
    }
    assert!(answered[1].to_string().contains("/plugins/{id}/config"), "the route, not the path: {}", answered[1]);
}

/// systemd's `Type=notify`: `systemctl start` returns once the service responds, and not earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_notified_of_ready_and_stopping() {
    let (folder, store) = folder();
    let path = folder.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut command = binary();
    command.env("NOTIFY_SOCKET", &path).args(["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--store", &format!("sqlite:{}", store.display())]);
    let daemon = Daemon::spawn(command).await;
    let told = async || {
        let mut message = [0; 64];
        let length =
            within_patience("the notification of the service manager", socket.recv(&mut message)).await.unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    assert_eq!(told().await, "READY=1\n");
    daemon.client().get("/readyz").answers(200).await;
    daemon.signal(Signal::TERM);
    assert_eq!(told().await, "STOPPING=1\n");
    assert_eq!(daemon.exit().await.0.code(), Some(0));
}
