//! Containers, at an engine that answers on a real Unix socket.

use std::path::Path;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::at;
use domain::plugin::UniqueId;
use domain::record::ObservedState::{self, Alive, Gone, Unknown};
use domain::record::{ResourceKey, ResourceKind};
use plugin_registry::liveness::prober::HeldOnHost;
use plugin_registry::liveness::{Prober, visibility};

/// An engine with these containers. It answers what the probe asks, and 404 for everything else.
struct Engine {
    folder: TempDir,
}

impl Engine {
    fn start(containers: Value) -> Engine {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, containers.clone()));
            }
        });
        Engine { folder }
    }

    fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> std::path::PathBuf {
        Path::join(self.folder.path(), "engine.sock")
    }

    /// The state and the detail of a container that a plugin claims.
    async fn seen(&self, claimed: &str) -> (ObservedState, String) {
        let id = domain::plugin::container_id::normal(claimed).into();
        let key = ResourceKey { plugin: UniqueId::from_client("c_n"), kind: ResourceKind::Container, id, host: None };
        let held = [HeldOnHost { key, identity: None, parent: None }];
        let seen = super::only(Prober::new(&self.address(), SignedDuration::ZERO).sweep(&held, at(0)).await);
        (seen.state, seen.detail.unwrap_or_default().into())
    }
}

/// Answers one request of a connection, and closes it.
async fn answer(mut stream: UnixStream, containers: Value) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let (status, body) = match path.as_str() {
        "/version" => ("200 OK", json!({"ApiVersion": "1.41", "Version": "4.3.1"})),
        "/v1.41/containers/json?all=true" => ("200 OK", containers),
        path if path.ends_with("/json") => {
            let state = json!({"Status": "exited", "ExitCode": 3, "OOMKilled": false, "Health": {"Status": "molten"}});
            ("200 OK", json!({"State": state}))
        }
        _ => ("404 Not Found", json!({"message": "page not found"})),
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    drop(stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await);
}

fn id(last: char) -> String {
    format!("{}{last}", &"4c01db0b339c".repeat(6)[..63])
}

#[tokio::test]
async fn one_container_in_an_unknown_state_hid_all_containers_of_the_host() {
    let engine = Engine::start(json!([
        {"Id": id('1'), "Names": ["/web"], "State": "running", "Ports": [{"PrivatePort": 443, "Type": "quic"}]},
        {"Id": id('2'), "Names": ["/db"], "State": "stopped", "Health": {"Status": "molten"}},
        {"Id": id('3'), "Names": ["/job"], "State": "exited", "Health": null, "Ports": null},
        {"Names": ["/without-id"], "State": "running"},
        null,
    ]));
    assert_eq!(engine.seen("web").await.0, Alive);
    let (state, detail) = engine.seen("db").await;
    assert_eq!(state, Unknown, "{detail}");
    assert!(detail.contains("`stopped`"), "the word is named: {detail}");
    let (state, detail) = engine.seen(&id('3')).await;
    assert_eq!((state, &*detail), (Gone, "exited with code 3"));
    assert_eq!(engine.seen(&id('9')).await.0, Gone);
    let points = visibility::look_around(&engine.address()).await;
    let containers = points.iter().find(|point| point.what == "containers").unwrap();
    assert!(containers.visible && containers.detail.contains("4.3.1"), "{containers:?}");
}

#[tokio::test]
async fn a_container_is_seen_by_every_form_of_its_id() {
    let engine = Engine::start(json!([{"Id": id('1'), "Names": ["/web"], "State": "running"}]));
    let (full, short) = (id('1'), &id('1')[..12]);
    for claimed in [
        "web".to_owned(),
        "/web".to_owned(),
        full.clone(),
        short.to_owned(),
        short.to_uppercase(),
        format!("docker://{full}"),
        format!("containerd://{}", full.to_uppercase()),
        format!("cri-o://{short}"),
        "podman://web".to_owned(),
    ] {
        let (state, detail) = engine.seen(&claimed).await;
        assert_eq!(state, Alive, "{claimed}: {detail}");
    }
}

#[tokio::test]
async fn a_list_that_is_no_list_is_an_engine_that_cannot_be_asked() {
    let engine = Engine::start(json!({"message": "no"}));
    let (state, detail) = engine.seen("web").await;
    assert!(state == Unknown && detail.contains("malformed") && detail.contains("engine.sock"), "{detail}");
    let points = visibility::look_around(&engine.address()).await;
    assert!(points.iter().any(|point| point.what == "containers" && !point.visible), "{points:?}");
}
