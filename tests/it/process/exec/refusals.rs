//! No response of a registry, a proxy or the network keeps a command from running. The log contains the reason why the
//! plugin is not registered.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

use rstest::rstest;
use tempfile::TempDir;

use super::exec;
use crate::harness::process::{complaint, finish};
use crate::harness::secure::Authority;
use crate::harness::{Daemon, named};

const PAGE: &str = "<html>a page</html>";

fn problem(status: u16) -> String {
    format!(r#"{{"type":"about:blank","title":"t","status":{status},"detail":"as it says"}}"#)
}

/// A server that sends the same response to every request.
fn server(status: u16, body: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head = format!("HTTP/1.1 {status} As it is\r\nlocation: /login\r\nconnection: close\r\n");
            drop(write!(connection, "{head}content-length: {}\r\n\r\n{body}", body.len()));
        }
    });
    address
}

#[rstest]
#[case::a_proxy_that_knows_no_registry(404, PAGE.into(), "has answered 404, but not as a registry")]
#[case::a_login(301, PAGE.into(), "has answered 301, but not as a registry")]
#[case::a_page(200, PAGE.into(), "has answered 200, but not as a registry")]
#[case::nothing(204, String::new(), "has answered 204, but not as a registry")]
#[case::another_service(200, r#"{"lease_id":"l","renew_after_seconds":10}"#.into(), "not as a registry")]
#[case::a_gateway(502, PAGE.into(), "has answered 502")]
#[case::no_token(401, problem(401), "401: as it says")]
#[case::not_allowed(403, problem(403), "403: as it says")]
#[case::taken(409, problem(409), "409: as it says")]
#[case::another_opinion(422, problem(422), "422: as it says")]
#[case::rate(429, problem(429), "429: as it says")]
#[case::bug(500, problem(500), "500: as it says")]
#[case::quota(507, problem(507), "507: as it says")]
#[tokio::test]
async fn a_command_runs_whatever_is_answered(#[case] status: u16, #[case] body: String, #[case] told: &str) {
    let folder = TempDir::new().unwrap();
    let unreported = folder.path().display().to_string();
    let url = format!("http://{}", server(status, body));
    let flags = ["--report-patience", "0", "--unreported", &unreported];
    let output = finish(exec(&url, &flags, "echo it runs")).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "it runs");
    assert!(complaint(&output).contains(told), "{}", complaint(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the end is kept");
}

#[tokio::test]
async fn an_end_that_a_proxy_has_taken_is_still_kept() {
    let folder = TempDir::new().unwrap();
    let unreported = folder.path().display().to_string();
    let address = server(404, PAGE.into());
    let url = format!("http://{address}");
    for waiting in [1, 2] {
        finish(exec(&url, &["--report-patience", "0", "--unreported", &unreported], "sleep 0.2")).await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), waiting);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_whose_name_is_anothers() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    daemon.client().register(&named("a", "b_c")).await;
    let url = format!("http://{}", daemon.address);
    let output = finish(exec(&url, &["--category", "a_b", "--name", "c"], "echo it runs")).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    assert!(complaint(&output).contains("409"), "{}", complaint(&output));
    daemon.stop().await;
}

#[rstest]
#[case::refused("http://127.0.0.1:1", "Connection refused")]
// Too long for a label, so the resolver asks no server.
#[case::no_such_name("http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test", "dns error")]
#[tokio::test]
async fn the_log_says_why_no_registry_is_reached(#[case] url: &str, #[case] why: &str) {
    let output = finish(exec(url, &["--report-patience", "0"], "true")).await;
    assert_eq!(output.status.code(), Some(0));
    let log = complaint(&output);
    assert!(log.contains("cannot be reached") && log.contains(why), "{log}");
}

#[tokio::test]
async fn the_log_says_that_a_server_does_not_speak_tls() {
    let address = server(200, PAGE.into());
    let output = finish(exec(&format!("https://{address}"), &["--report-patience", "0"], "true")).await;
    let log = complaint(&output);
    assert!(output.status.success() && log.contains("corrupt message"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_that_a_certificate_is_not_trusted() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    let signed = authority.sign("server");
    let (certificate, key) = (signed.certificate.display().to_string(), signed.key.display().to_string());
    let flags = ["--tls-cert", &certificate, "--tls-key", &key];
    let daemon = Daemon::start_with(&folder.path().join("r.db"), &flags).await;
    let url = format!("https://localhost:{}", daemon.address.port());
    let output = finish(exec(&url, &["--report-patience", "0"], "true")).await;
    let log = complaint(&output);
    assert!(output.status.success() && log.contains("invalid peer certificate"), "{log}");
    daemon.stop().await;
}
