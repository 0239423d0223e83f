//! Settings: the precedence of their sources, empty and misspelt variables, and the addresses of a server.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use clap::CommandFactory as _;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish, run};
use crate::harness::{Client, Daemon, Server, minimal};
use crate::store::moving::url;
use plugin_registry::cli::Cli;

/// Every variable of a setting.
fn variables() -> Vec<String> {
    let command = Cli::command();
    let of = |command: &clap::Command| -> Vec<String> {
        let names = command.get_arguments().filter_map(|arg| arg.get_env());
        names.map(|name| name.to_str().unwrap().to_owned()).collect()
    };
    let mut all: Vec<_> = command.get_subcommands().flat_map(of).chain(of(&command)).collect();
    all.extend(command.get_subcommands().flat_map(clap::Command::get_subcommands).flat_map(of));
    all.sort();
    all.dedup();
    all
}

/// Serves in a folder, on a free port.
fn serving(folder: &TempDir) -> Command {
    let mut command = binary();
    command.current_dir(folder.path()).args(["serve", "--listen", "127.0.0.1:0"]);
    command
}

#[tokio::test]
async fn a_variable_that_is_empty_kept_the_server_from_starting() {
    let variables = variables();
    assert!(variables.len() >= 40, "{variables:?}");
    let folder = TempDir::new().unwrap();
    let mut command = serving(&folder);
    command.envs(variables.iter().map(|name| (name, "")));
    let daemon = Daemon::spawn(command).await;
    daemon.client().register(&minimal()).await;
    let mut command = binary();
    command.envs(variables.iter().map(|name| (name, "")));
    command.args(["health", "--listen", &daemon.address.to_string()]);
    let health = finish(command).await;
    assert!(health.status.success(), "{}", complaint(&health));
    let log = daemon.end().await;
    assert!(!log.contains("is no setting"), "{log}");
    assert!(folder.path().join("plugin-registry.db").is_file(), "the default store");
    let mut command = binary();
    command.current_dir(folder.path()).envs(variables.iter().map(|name| (name, ""))).args(["backup", "b"]);
    let backup = finish(command).await;
    assert!(backup.status.success(), "{}", complaint(&backup));
}

/// A registry that accepts the token `good`, and the result of `exec` with this credential.
async fn exec(server: &str, flags: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = binary();
    command.args(["exec", "--server", server, "--category", "c", "--name", "n"]).args(flags).args(["--", "true"]);
    command.envs(variables.iter().copied());
    let output = finish(command).await;
    (output.status.code(), complaint(&output))
}

#[tokio::test]
async fn a_file_of_the_token_was_refused_when_the_environment_had_a_token() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let made = run(&["token", "create", "--new", "--store", &url(&store), "--name", "n", "--role", "reporter"]).await;
    assert!(made.status.success(), "{}", complaint(&made));
    let good = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let wrong = "no-token";
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good_file, wrong_file) = (file("good", &good), file("wrong", wrong));
    let daemon = Daemon::start(&store).await;
    let server = format!("http://{}", daemon.address);
    let (token, in_file) = ("PLUGIN_REGISTRY_TOKEN", "PLUGIN_REGISTRY_TOKEN_FILE");
    for (flags, variables) in [
        (vec!["--token-file", &good_file], vec![(token, wrong)]),
        (vec!["--token-file", &good_file], vec![(in_file, wrong_file.as_str())]),
        (vec!["--token-file", &good_file], vec![(token, wrong), (in_file, wrong_file.as_str())]),
        (vec!["--token", &good], vec![(in_file, wrong_file.as_str())]),
        (vec!["--token", &good], vec![(token, wrong)]),
        // A value overrides a file.
        (vec![], vec![(token, good.as_str()), (in_file, wrong_file.as_str())]),
        // An empty value counts as not set.
        (vec![], vec![(token, ""), (in_file, good_file.as_str())]),
    ] {
        let (code, said) = exec(&server, &flags, &variables).await;
        assert_eq!(code, Some(0), "{flags:?} {variables:?}: {said}");
        assert!(!said.contains("token is malformed"), "{flags:?} {variables:?}: {said}");
    }
    let (code, said) = exec(&server, &["--token", &good, "--token-file", &good_file], &[]).await;
    assert!(code == Some(125) && said.contains("cannot be used with"), "{said}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_misspelt_variable_was_ignored_in_silence() {
    let folder = TempDir::new().unwrap();
    let slips = [("PLUGIN_REGISTRY_STROE", "memory"), ("PLUGIN_REGISTRY_SERVICE_HOST", "10.0.0.1")];
    let mut command = serving(&folder);
    command.envs(slips).args(["--store", "memory"]);
    let daemon = Daemon::spawn(command).await;
    let mut command = binary();
    command.envs(slips).args(["health", "--listen", &daemon.address.to_string()]);
    let health = finish(command).await;
    assert!(health.status.success() && complaint(&health).contains("PLUGIN_REGISTRY_STORE"), "{}", complaint(&health));
    let log = daemon.end().await;
    assert!(log.contains("PLUGIN_REGISTRY_STROE") && log.contains("do you mean PLUGIN_REGISTRY_STORE"), "{log}");
    assert!(!log.contains("SERVICE_HOST"), "Kubernetes sets that: {log}");
}

#[rstest]
#[case(&["--probe-own-host", "false"], &[], false)]
#[case(&["--probe-own-host=false"], &[], false)]
#[case(&["--probe-own-host"], &[("PLUGIN_REGISTRY_PROBE_OWN_HOST", "false")], true)]
#[case(&[], &[("PLUGIN_REGISTRY_PROBE_OWN_HOST", "0")], false)]
#[case(&[], &[("PLUGIN_REGISTRY_PROBE_OWN_HOST", "")], true)]
#[tokio::test]
async fn a_switch_with_a_value_of_its_own_was_refused(
    #[case] flags: &[&str],
    #[case] variables: &[(&str, &str)],
    #[case] probes: bool,
) {
    let folder = TempDir::new().unwrap();
    let mut command = serving(&folder);
    command.args(["--store", "memory"]).args(flags).envs(variables.iter().copied());
    let daemon = Daemon::spawn(command).await;
    daemon.client().get("/readyz").answers(200).await;
    let log = daemon.end().await;
    assert_eq!(log.contains("looking at the processes"), probes, "{log}");
}

/// A port that is free now on both families.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[tokio::test]
async fn an_address_that_other_servers_take_was_refused() {
    let cases: Value = serde_json::from_str(include_str!("../store/store_url/cases.json")).unwrap();
    for case in cases["listen"].as_array().unwrap() {
        let port = free_port();
        let sent = case["sent"].as_str().unwrap().replace("8080", &port.to_string());
        let mut command = binary();
        command.args(["serve", "--store", "memory", "--listen", &sent]);
        let daemon = Daemon::spawn(command).await;
        let mut reached = vec![SocketAddr::from(([127, 0, 0, 1], port))];
        if case["right"] != "127.0.0.1:8080" && has_ipv6() {
            reached.push(format!("[::1]:{port}").parse().unwrap());
        }
        for address in &reached {
            Client::new(*address).get("/healthz").answers(200).await;
        }
        // A health check in the container finds the server by the same setting.
        let health = run(&["health", "--listen", &sent]).await;
        assert!(health.status.success(), "{sent}: {}", complaint(&health));
        let log = daemon.end().await;
        let is_open_to_all = log.contains("NO TOKENS ARE CONFIGURED");
        assert_eq!(is_open_to_all, case["right"] == "all addresses", "{sent}: {log}");
    }
}

#[tokio::test]
async fn all_addresses_of_a_name_have_the_same_free_port() {
    let mut command = binary();
    command.args(["serve", "--store", "memory", "--listen", "localhost:0", "--metrics-listen", "localhost:0"]);
    let daemon = Daemon::spawn(command).await;
    Client::new(daemon.address).get("/healthz").answers(200).await;
    if has_ipv6() {
        let other: SocketAddr = format!("[::1]:{}", daemon.address.port()).parse().unwrap();
        Client::new(other).get("/healthz").answers(200).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_start_that_failed_left_an_empty_store() {
    let taken = Server::in_memory().await;
    let port = taken.address.port();
    let next = port.checked_add(1).unwrap_or(8080);
    let (taken, free) = (taken.address.to_string(), "127.0.0.1:0");
    let in_use = format!(
        "port {port} on 127.0.0.1 is already in use; stop the other process, or choose another port with --listen 127.0.0.1:{next}"
    );
    let of_metrics = format!("--metrics-listen 127.0.0.1:{next}");
    for (flags, told) in [
        (vec!["--listen", &taken], in_use.as_str()),
        (vec!["--listen", free, "--metrics-listen", &taken], of_metrics.as_str()),
        (vec!["--listen", free, "--providers", "/nowhere"], "/nowhere"),
        (vec!["--listen", free, "--tokens-file", "/nowhere"], "/nowhere"),
        (vec!["--listen", free, "--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "/nowhere"),
        (vec!["--listen", free, "--cors-origins", "nowhere"], "--cors-origins"),
        (vec!["--listen", "192.0.2.1:80"], "no address of this machine"),
        (vec!["--listen", "nowhere.invalid:80"], "cannot resolve"),
    ] {
        let folder = TempDir::new().unwrap();
        let mut command = binary();
        command.current_dir(folder.path()).arg("serve").args(&flags);
        let output = finish(command).await;
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {said}");
        assert!(said.contains(told), "{flags:?}: {said}");
        assert!(output.stdout.is_empty(), "{flags:?}: it does not say that it listens");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{flags:?}");
    }
}

#[tokio::test]
async fn an_import_that_failed_left_an_empty_store() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    std::fs::write(folder.path().join("broken"), "{\"archive\":").unwrap();
    let broken = folder.path().join("broken").to_str().unwrap().to_owned();
    for command in [vec!["import", "--input", &broken], vec!["restore", &broken]] {
        let output = run(&[&command[..], &["--store", &url(&store)]].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
        assert!(complaint(&output).contains("nothing was"), "{}", complaint(&output));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{command:?}");
    }
}

#[tokio::test]
async fn a_second_server_on_a_file_did_not_say_that_it_is_not_alone() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let told = "another process serves this store";
    let first = Daemon::start(&store).await;
    let second = Daemon::start(&store).await;
    let (first, second) = (first.end().await, second.end().await);
    assert!(!first.contains(told) && second.contains(told), "{second}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a clean stop leaves one file");
    let killed = Daemon::start(&store).await;
    killed.signal(rustix::process::Signal::KILL);
    killed.exit().await;
    let again = Daemon::start(&store).await.end().await;
    assert!(!again.contains(told), "{again}");
}
