//! `plugin-registry token`, beside a running registry; and the commands that send a token.

use std::process::Output;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish, run};
use crate::harness::{Client, Daemon, minimal, within_patience};

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", complaint(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Repeats a request until it gets a status: the daemon reads tokens every two seconds.
async fn until(client: &Client, status: u16) {
    let asked = async {
        while client.get("/plugins").send().await.status != status {
            tokio::task::yield_now().await;
        }
    };
    within_patience("the daemon notices", asked).await;
}

#[tokio::test]
async fn tokens_can_be_created_and_revoked_beside_a_running_registry() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let store = format!("sqlite:{}", path.display());
    let daemon = Daemon::start(&path).await;
    let open = daemon.client();
    open.register(&minimal()).await;
    let create = async |args: &[&str]| run(&[&["token", "create", "--store", &store], args].concat()).await;
    let admin = said(&create(&["--name", "admin", "--role", "admin"]).await);
    until(&open, 401).await;
    let admin = open.with_token(admin.trim());
    admin.get("/plugins").answers(200).await;
    let args = [
        "--name",
        "trainer",
        "--role",
        "reporter",
        "--category",
        "c",
        "--host",
        "h",
        "--label",
        "team=a",
        "--label",
        "team=b",
        "--expires",
        "90d",
    ];
    let trainer = said(&create(&args).await);
    let trainer = open.with_token(trainer.trim());
    until(&trainer, 200).await;
    let listed = admin.get("/tokens").answers(200).await.items();
    let made = listed.iter().find(|token| token["name"] == "trainer").unwrap();
    assert_eq!(made["scope"], json!({"categories": ["c"], "hosts": ["h"], "labels": {"team": ["a", "b"]}}));
    assert_eq!(made["created_by"], "command line");
    let text = said(&run(&["token", "list", "--store", &store]).await);
    assert!(text.contains("trainer") && text.contains("category c, host h, label team a or b"), "{text}");
    for (args, why) in [
        (vec!["--name", "trainer", "--role", "viewer"], "is in force"),
        (vec!["--name", "n", "--role", "root"], "must be one of"),
        (vec!["--name", "n", "--role", "viewer", "--host", "h"], "only reporters and agents"),
        (vec!["--name", "n", "--role", "agent", "--expires", "soon"], "is no time"),
    ] {
        let refused = create(&args).await;
        assert!(!refused.status.success() && complaint(&refused).contains(why), "{}", complaint(&refused));
    }
    said(&run(&["token", "revoke", "--store", &store, "trainer"]).await);
    until(&trainer, 401).await;
    assert!(!run(&["token", "revoke", "--store", &store, "trainer"]).await.status.success());
    said(&run(&["token", "revoke", "--store", &store, "--all"]).await);
    until(&open, 200).await;
    daemon.stop().await;
}

#[tokio::test]
async fn commands_send_their_token_and_events_have_its_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let store = format!("sqlite:{}", path.display());
    let create = async |name: &str, role: &str| {
        said(&run(&["token", "create", "--new", "--store", &store, "--name", name, "--role", role]).await)
            .trim()
            .to_owned()
    };
    // Before the first start.
    let (admin, reporter) = (create("admin", "admin").await, create("app", "reporter").await);
    let daemon = Daemon::start(&path).await;
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{reporter}\n")).unwrap();
    let server = format!("http://{}", daemon.address);
    let exec = async |credential: &[(&str, &str)]| {
        let mut command = binary();
        command.args(["exec", "--server", &server, "--category", "c", "--name", "n", "--", "true"]);
        command.envs(credential.iter().copied());
        finish(command).await
    };
    let admin = daemon.client().with_token(&admin);
    let by = async || -> Vec<Value> {
        let events = admin.get("/events").answers(200).await.items();
        events.iter().map(|event| event["principal"].clone()).collect()
    };
    exec(&[]).await;
    assert!(by().await.is_empty(), "without a token nothing is registered");
    said(&exec(&[("PLUGIN_REGISTRY_TOKEN_FILE", file.to_str().unwrap())]).await);
    let told = by().await;
    assert!(!told.is_empty() && told.iter().all(|name| name == "app"), "{told:?}");
    said(&exec(&[("PLUGIN_REGISTRY_TOKEN", &reporter)]).await);
    assert!(by().await.len() > told.len());
    let wrong = exec(&[("PLUGIN_REGISTRY_TOKEN", "hunter2-canary")]).await;
    assert!(
        complaint(&wrong).contains("token is malformed") && !complaint(&wrong).contains("canary"),
        "{}",
        complaint(&wrong)
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_generated_token_and_its_entry_in_a_file_belong_together() {
    let folder = TempDir::new().unwrap();
    let made = said(&run(&["token", "generate", "--name", "n", "--role", "agent", "--host", "h"]).await);
    let (token, entry) = made.trim_end().split_once('\n').unwrap();
    assert!(!entry.contains(&token[21..]), "the file has a hash alone");
    let file = folder.path().join("tokens.json");
    std::fs::write(&file, entry).unwrap();
    let flags = ["--tokens-file", file.to_str().unwrap()];
    let daemon = Daemon::start_with(&folder.path().join("registry.db"), &flags).await;
    daemon.client().get("/plugins").refused(401).await;
    daemon.client().with_token(token).get("/plugins").answers(200).await;
    daemon.stop().await;
    let missing = run(&["serve", "--store", "memory", "--listen", "127.0.0.1:0", "--tokens-file", "/nowhere"]).await;
    assert!(!missing.status.success() && complaint(&missing).contains("/nowhere"), "{}", complaint(&missing));
}

#[tokio::test]
async fn a_registry_without_tokens_warns_if_other_machines_reach_it() {
    let folder = TempDir::new().unwrap();
    let loud = "NO TOKENS ARE CONFIGURED";
    let mut command = binary();
    let store = format!("sqlite:{}", folder.path().join("a.db").display());
    command.args(["serve", "--listen", "0.0.0.0:0", "--store", &store]);
    let open = Daemon::spawn(command).await;
    open.signal(Signal::TERM);
    let (_, log) = open.exit().await;
    assert!(log.contains(loud), "{log}");
    let own = Daemon::start(&folder.path().join("b.db")).await;
    own.signal(Signal::TERM);
    let (_, log) = own.exit().await;
    assert!(!log.contains(loud) && log.contains("no tokens are configured"), "{log}");
}

#[tokio::test]
async fn a_command_in_the_wrong_folder_made_a_store_and_printed_a_token() {
    let folder = TempDir::new().unwrap();
    let create = ["token", "create", "--name", "n", "--role", "admin"];
    for is_empty in [false, true] {
        if is_empty {
            std::fs::write(folder.path().join("plugin-registry.db"), "").unwrap();
        }
        for args in [&create[..], &["token", "list"], &["token", "revoke", "n"], &["token", "revoke", "--all"]] {
            let mut command = binary();
            command.current_dir(folder.path()).args(args);
            let output = finish(command).await;
            assert_eq!(output.status.code(), Some(1), "{args:?}: {}", complaint(&output));
            assert!(output.stdout.is_empty(), "{args:?}");
            for told in ["there is no store", folder.path().to_str().unwrap(), "--new"] {
                assert!(complaint(&output).contains(told), "{args:?}: {}", complaint(&output));
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), usize::from(is_empty), "{args:?}");
        }
    }
    std::fs::remove_file(folder.path().join("plugin-registry.db")).unwrap();
    // Invalid terms create no store either.
    for args in [
        &["token", "create", "--new", "--name", "n", "--role", "viewer", "--host", "h"][..],
        &["token", "create", "--new", "--name", "n", "--role", "admin"],
    ] {
        let mut command = binary();
        command.current_dir(folder.path()).args(args);
        let made = finish(command).await.status.success();
        assert_eq!(folder.path().join("plugin-registry.db").exists(), made, "{args:?}");
    }
}

#[tokio::test]
async fn an_open_registry_took_any_text_for_a_token() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("registry.db")).await;
    let (open, shown) = (daemon.client(), daemon.client().with_token("any-canary-text"));
    for _ in 0..3 {
        for path in ["/plugins", "/healthz", "/readyz"] {
            assert_eq!(shown.get(path).answers(200).await.header("registry-tokens"), Some("not-configured"), "{path}");
            assert_eq!(open.get(path).answers(200).await.header("registry-tokens"), None, "{path}");
        }
    }
    let refused = shown.get("/plugins/c_none").refused(404).await;
    assert_eq!(refused.headers["registry-tokens"], "not-configured");
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.exit().await;
    assert_eq!(log.matches("a client sent a token, but no tokens are configured").count(), 1, "{log}");
    assert!(!log.contains("canary"), "{log}");
}
