//! TLS: certificates and their reload, mutual TLS, slow handshakes, and the project's own clients.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::process::{binary, complaint, finish, run};
use crate::harness::secure::{Http2, Signed, ask};
use crate::harness::server::Setup;
use crate::harness::{Authority, Daemon, Server, minimal, named, process, within_patience};
use plugin_registry::client::{Client, ClientError, Security};
use plugin_registry::http::middleware::load_shedding::LoadShedder;
use plugin_registry::server::settings::ServerSettings;
use plugin_registry::server::{Tls, TlsError, TlsFiles};

const SHORT: Duration = Duration::from_millis(200);

async fn showing(files: TlsFiles) -> (Server, Tls) {
    let tls = Tls::load(files).expect("good files");
    let server = Setup { tls: Some(tls.clone()), ..Setup::in_memory() }.start().await;
    (server, tls)
}

#[tokio::test]
async fn the_client_chooses_the_protocol_by_alpn() {
    let authority = Authority::new();
    let (server, _) = showing(authority.sign("server").files()).await;
    let mut one = authority.connect(server.address, "http/1.1").await.unwrap();
    assert!(ask(&mut one, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"));
    let two = authority.connect(server.address, "h2").await.unwrap();
    assert_eq!(two.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut two = Http2::begin(two, &h2::client::Builder::new()).await;
    let (status, body) = two.get("/healthz").await;
    assert_eq!((status.as_u16(), &*body), (200, &br#"{"status":"ok"}"#[..]));
}

#[tokio::test]
async fn plain_http_on_a_tls_port_gets_a_clear_error() {
    let authority = Authority::new();
    let (server, _) = showing(authority.sign("server").files()).await;
    let mut raw = server.raw().await;
    let reply = raw.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(reply.status, 400);
    assert!(reply.problem().detail().contains("https://"), "{reply:?}");
    let mut raw = server.raw().await;
    raw.send([0, 1, 2, 3, 4, 5, 6, 7]).await;
    raw.rest().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let authority = Authority::new();
    let tls = Some(Tls::load(authority.sign("server").files()).unwrap());
    let settings = ServerSettings { first_byte_time: SHORT, handshake_time: SHORT, ..ServerSettings::default() };
    let server = Setup { tls, settings, ..Setup::in_memory() }.start().await;
    // Silence; a partial ClientHello; and a client that never accepts the certificate.
    for beginning in [&b""[..], &[22], &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]] {
        let mut raw = server.raw().await;
        raw.send(beginning).await;
        raw.rest().await;
    }
    let mut good = authority.connect(server.address, "http/1.1").await.unwrap();
    assert!(ask(&mut good, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_new_certificate_is_used_and_connections_go_on() {
    let authority = Authority::new();
    let (first, second) = (authority.sign("first"), authority.sign("second"));
    let shown = authority.sign("shown");
    shown.replace_by(&first);
    let (server, tls) = showing(shown.files()).await;
    let mut before = authority.connect(server.address, "http/1.1").await.unwrap();
    assert!(first.was_shown(&before));
    assert!(!tls.refresh().unwrap(), "nothing has changed");
    shown.replace_by(&second);
    assert!(tls.refresh().unwrap());
    let after = authority.connect(server.address, "http/1.1").await.unwrap();
    assert!(second.was_shown(&after));
    assert!(ask(&mut before, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"), "the connection goes on");
}

#[tokio::test]
async fn an_unusable_new_certificate_leaves_the_old_one() {
    let authority = Authority::new();
    let (first, second) = (authority.sign("first"), authority.sign("second"));
    let shown = authority.sign("shown");
    shown.replace_by(&first);
    let (server, tls) = showing(shown.files()).await;
    // The new certificate is written, its key is not yet.
    std::fs::copy(&second.certificate, &shown.certificate).unwrap();
    assert!(matches!(tls.refresh(), Err(TlsError::Unfit { .. })));
    assert!(!tls.refresh().unwrap(), "a failure is reported once");
    assert!(first.was_shown(&authority.connect(server.address, "h2").await.unwrap()));
    std::fs::write(&shown.certificate, "no certificate").unwrap();
    assert!(matches!(tls.refresh(), Err(TlsError::Malformed { .. })));
    std::fs::remove_file(&shown.certificate).unwrap();
    assert!(matches!(tls.refresh(), Err(TlsError::Unreadable { .. })));
    assert!(!tls.refresh().unwrap(), "a failure is reported once");
    assert!(first.was_shown(&authority.connect(server.address, "h2").await.unwrap()));
    shown.replace_by(&second);
    assert!(tls.refresh().unwrap());
    assert!(second.was_shown(&authority.connect(server.address, "h2").await.unwrap()));
}

#[test]
fn unusable_tls_files_are_refused_at_start() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("one"), authority.sign("other"));
    let wrong = |change: fn(&mut TlsFiles, &Signed)| {
        let mut files = one.files();
        change(&mut files, &other);
        Tls::load(files).err().expect("refused")
    };
    assert!(matches!(wrong(|files, other| files.key = other.key.clone()), TlsError::Unfit { .. }));
    assert!(matches!(wrong(|files, other| files.key = other.certificate.clone()), TlsError::Malformed { .. }));
    assert!(matches!(wrong(|files, other| files.certificate = other.key.clone()), TlsError::Malformed { .. }));
    assert!(matches!(wrong(|files, _| files.certificate = "/nowhere".into()), TlsError::Unreadable { .. }));
}

#[tokio::test]
async fn a_secret_replaced_by_kubernetes_is_reloaded_at_sighup() {
    let authority = Authority::new();
    let (first, second) = (authority.sign("first"), authority.sign("second"));
    // tls.crt -> ..data/tls.crt, and ..data -> a folder for each version.
    let secret = TempDir::new().unwrap();
    for (folder, signed) in [("1", &first), ("2", &second)] {
        std::fs::create_dir(secret.path().join(folder)).unwrap();
        std::fs::copy(&signed.certificate, secret.path().join(folder).join("tls.crt")).unwrap();
        std::fs::copy(&signed.key, secret.path().join(folder).join("tls.key")).unwrap();
    }
    symlink("1", secret.path().join("..data")).unwrap();
    let files = ["tls.crt", "tls.key"].map(|file| {
        symlink(Path::new("..data").join(file), secret.path().join(file)).unwrap();
        secret.path().join(file).display().to_string()
    });
    let home = TempDir::new().unwrap();
    let flags = ["--tls-cert", &files[0], "--tls-key", &files[1]];
    let daemon = Daemon::start_with(&home.path().join("registry.db"), &flags).await;
    assert!(first.was_shown(&authority.connect(daemon.address, "h2").await.unwrap()));

    symlink("2", secret.path().join("..data_tmp")).unwrap();
    std::fs::rename(secret.path().join("..data_tmp"), secret.path().join("..data")).unwrap();
    daemon.signal(Signal::HUP);
    let replaced = async {
        while !second.was_shown(&authority.connect(daemon.address, "h2").await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    within_patience("the second certificate", replaced).await;

    // `health` uses the settings of the server, and trusts only that certificate.
    for (certificate, code) in [(files[0].as_str(), 0), (first.certificate.to_str().unwrap(), 1)] {
        let mut health = process::binary();
        health.args(["health", "--listen", &daemon.address.to_string(), "--tls-cert", certificate]);
        let output = finish(health).await;
        assert_eq!(output.status.code(), Some(code), "{}", complaint(&output));
    }
    let mut plain = process::binary();
    plain.args(["health", "--listen", &daemon.address.to_string()]);
    assert_eq!(finish(plain).await.status.code(), Some(1), "the server speaks TLS");
    daemon.stop().await;
}

#[tokio::test]
async fn mutual_tls_admits_only_clients_of_the_authority() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let files = TlsFiles { client_authorities: Some(authority.file()), ..authority.sign("server").files() };
    let (server, _) = showing(files).await;
    let known = authority.sign("client");
    let mut stream = authority.connect_as(server.address, "http/1.1", Some(&known)).await.unwrap();
    assert!(ask(&mut stream, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"));
    for identity in [None, Some(strangers.sign("client"))] {
        // With TLS 1.3, a client notices the refusal only when it reads.
        let answer = match authority.connect_as(server.address, "http/1.1", identity.as_ref()).await {
            Ok(mut stream) => ask(&mut stream, "/healthz").await,
            Err(refused) => Err(refused),
        };
        assert!(answer.is_err(), "{answer:?}");
    }
    let secured =
        |security: Security| Client::secured(&format!("https://localhost:{}", server.address.port()), &security);
    let identity = Some((known.certificate.clone(), known.key.clone()));
    let client = secured(Security { identity, ..authority.security() }).unwrap();
    assert!(client.register_new(&minimal()).await.unwrap());
    let without_certificate = secured(authority.security()).unwrap();
    assert!(matches!(without_certificate.register_new(&minimal()).await, Err(ClientError::Unreachable { .. })));
}

#[tokio::test]
async fn our_own_client_trusts_only_the_configured_authority() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let (server, _) = showing(authority.sign("server").files()).await;
    let url = format!("https://localhost:{}", server.address.port());
    let client = Client::secured(&url, &authority.security()).unwrap();
    client.register(&named("c", "n")).await.unwrap();
    assert_eq!(client.plugin("c_n").await.unwrap()["title"], minimal()["title"]);
    for untrusting in [strangers.security(), Security::default()] {
        let error = Client::secured(&url, &untrusting).unwrap().plugin("c_n").await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    }
    let unreadable = Security { trust: plugin_registry::client::Trust::Authorities("/nowhere".into()), identity: None };
    assert!(matches!(Client::secured(&url, &unreadable), Err(ClientError::Security(_))));
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_given_up_over_tls_too() {
    let authority = Authority::new();
    let tls = Some(Tls::load(authority.sign("server").files()).unwrap());
    let settings = ServerSettings { write_time: SHORT, ..ServerSettings::default() };
    let server = Setup { tls, settings, ..Setup::in_memory() }.start().await;
    let client =
        Client::secured(&format!("https://localhost:{}", server.address.port()), &authority.security()).unwrap();
    for n in 0..8 {
        let mut body = named("big", &n.to_string());
        body["description"] = "x".repeat(1_000_000).into();
        client.register(&body).await.unwrap();
    }
    let mut stream = authority.connect(server.address, "http/1.1").await.unwrap();
    for _ in 0..4 {
        stream.write_all(b"GET /plugins HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    }
    // The shutdown waits for running responses, but closes this connection before the grace is over.
    server.stop().await;
    let mut taken = Vec::new();
    drop(within_patience("the end", stream.read_to_end(&mut taken)).await);
    assert!(taken.len() < 4 * 8_000_000, "the answers were cut off");
}

#[tokio::test]
async fn hsts_is_sent_if_configured() {
    let authority = Authority::new();
    let tls = Some(Tls::load(authority.sign("server").files()).unwrap());
    let gate = LoadShedder { strict_transport: Some("max-age=600".parse().unwrap()), ..LoadShedder::default() };
    let server = Setup { tls, gate, ..Setup::in_memory() }.start().await;
    let mut stream = authority.connect(server.address, "http/1.1").await.unwrap();
    let answer = ask(&mut stream, "/healthz").await.unwrap();
    assert!(answer.contains("strict-transport-security: max-age=600\r\n"), "{answer}");
}

#[tokio::test]
async fn a_key_is_never_logged() {
    let authority = Authority::new();
    let signed = authority.sign("server");
    let home = TempDir::new().unwrap();
    let (certificate, key) = (signed.certificate.display().to_string(), signed.key.display().to_string());
    let flags = ["--log-level", "trace", "--tls-cert", &certificate, "--tls-key", &key];
    let daemon = Daemon::start_with(&home.path().join("registry.db"), &flags).await;
    let mut stream = authority.connect(daemon.address, "http/1.1").await.unwrap();
    ask(&mut stream, "/healthz").await.unwrap();
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.exit().await;
    let text = std::fs::read_to_string(&signed.key).unwrap();
    let secret = text.lines().nth(1).expect("a line of base64");
    assert!(PrivateKeyDer::from_pem_slice(text.as_bytes()).is_ok() && !log.contains(secret));
}

#[tokio::test]
async fn what_to_do_about_a_certificate_was_not_said() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let home = TempDir::new().unwrap();
    let serve = async |certificate: &std::path::Path, key: &std::path::Path| {
        let flags = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        Daemon::start_with(&home.path().join("registry.db"), &flags).await
    };
    let told = async |daemon: &Daemon, ca: Option<&std::path::Path>| {
        let server = format!("https://localhost:{}", daemon.address.port());
        let mut command = binary();
        command.args(["backup", "-", "--server", &server]);
        if let Some(ca) = ca {
            command.arg("--ca-file").arg(ca);
        }
        let output = finish(command).await;
        assert_eq!(output.status.code(), Some(1));
        complaint(&output)
    };
    let signed = authority.sign("server");
    let daemon = serve(&signed.certificate, &signed.key).await;
    // One certificate of another authority with the same name, and one of an untrusted authority.
    let said = told(&daemon, Some(&strangers.file())).await;
    assert!(said.contains("BadSignature") && said.contains("same name") && said.contains("--ca-file"), "{said}");
    let said = told(&daemon, None).await;
    assert!(said.contains("UnknownIssuer") && said.contains("does not trust") && said.contains("--ca-file"), "{said}");
    let listen = daemon.address.to_string();
    let plain = run(&["health", "--listen", &listen]).await;
    assert_eq!(plain.status.code(), Some(1));
    assert!(complaint(&plain).contains("--tls-cert"), "{}", complaint(&plain));
    let other = run(&["health", "--listen", &listen, "--tls-cert", strangers.file().to_str().unwrap()]).await;
    assert!(complaint(&other).contains("another certificate"), "{}", complaint(&other));
    let log = daemon.end().await;
    assert!(!log.contains("clients will refuse"), "{log}");
    let own = authority.files_of_its_own();
    let daemon = serve(&own.certificate, &own.key).await;
    let said = told(&daemon, Some(&authority.file())).await;
    assert!(said.contains("CaUsedAsEndEntity") && said.contains("CA:FALSE"), "{said}");
    let log = daemon.end().await;
    assert!(log.contains("CA:FALSE"), "{log}");
    // A registry without TLS.
    let daemon = Daemon::start(&home.path().join("registry.db")).await;
    let said = told(&daemon, None).await;
    assert!(said.contains("write the address with http://"), "{said}");
    daemon.stop().await;
}

#[tokio::test]
async fn what_to_do_about_a_certificate_was_not_said_of_a_webhook() {
    let (authority, home) = (Authority::new(), TempDir::new().unwrap());
    let signed = authority.sign("target");
    let flags = ["--tls-cert", signed.certificate.to_str().unwrap(), "--tls-key", signed.key.to_str().unwrap()];
    let target = Daemon::start_with(&home.path().join("target.db"), &flags).await;
    let url = format!("https://127.0.0.1:{}/plugins", target.address.port());
    let tried = async |authorities: Option<&Path>| {
        let store = format!("sqlite:{}", home.path().join("registry.db").display());
        let mut command = binary();
        command.args(["serve", "--listen", "127.0.0.1:0", "--webhooks-allow-private", "--store", &store]);
        if let Some(authorities) = authorities {
            command.env("SSL_CERT_FILE", authorities);
        }
        let daemon = Daemon::spawn(command).await;
        let client = daemon.client();
        let hook = client.post("/webhooks", &json!({"url": url})).answers(201).await.json();
        let path = format!("/webhooks/{}/test", hook["id"].as_str().unwrap());
        let tested = client.request(Method::POST, &path).answers(200).await.json();
        daemon.stop().await;
        tested
    };
    let tested = tried(None).await;
    let error = tested["error"].as_str().unwrap();
    assert!(error.contains("UnknownIssuer") && error.contains("SSL_CERT_FILE") && !error.contains("--"), "{error}");
    // With the remedy, the target answers, although not with 2xx: it is no receiver of webhooks.
    let tested = tried(Some(&authority.file())).await;
    assert!(tested["status"].is_number(), "{tested}");
    target.stop().await;
}
