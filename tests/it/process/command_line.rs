//! The commands for people: every reading command in every format, on a terminal and in a pipe, as snapshots.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish};
use crate::harness::{Client, Daemon, blocking, named, within_patience};

/// The address of no server: nothing listens on port 1 of the loopback.
const NOWHERE: &str = "http://127.0.0.1:1";

const FORMATS: [&str; 10] = [
    "table",
    "wide",
    "json",
    "ndjson",
    "yaml",
    "csv",
    "tsv",
    "name",
    "jsonpath=$..unique_id",
    "fields=unique_id,plugin,id",
];

/// Every command that reads.
const READING: [&str; 19] = [
    "status",
    "ls",
    "ls --active",
    "get c_worker",
    "get c_worker c_idle",
    "get c_worker --diff 1",
    "resources",
    "findings",
    "hosts",
    "whois 4711",
    "events",
    "history c_worker",
    "costs",
    "costs --by category",
    "budget ls",
    "lease ls",
    "whoami",
    "webhook ls",
    "config get c_worker",
];

/// A command line for the registry at `server`, without the settings of the developer.
fn command(server: &str, line: &str) -> Command {
    let mut command = binary();
    command.args(line.split(' ')).env("PLUGIN_REGISTRY_SERVER", server);
    command
}

/// The output of a command: what it printed, what it said, and how it ended.
async fn outcome(server: &str, line: &str) -> String {
    let output = finish(command(server, line)).await;
    let printed = String::from_utf8(output.stdout.clone()).expect("the output is UTF-8");
    is_data(line, &printed);
    format!("$ {line}\n{printed}{}-> {}\n\n", complaint(&output), output.status.code().unwrap())
}

/// Programs can read what is for programs, whatever the state.
fn is_data(line: &str, printed: &str) {
    if printed.is_empty() {
        return;
    }
    let parse =
        |text: &str| -> Value { serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}\n{text}")) };
    match line.rsplit_once("-o ").map(|(_, format)| format) {
        Some("json") => drop(parse(printed)),
        Some("ndjson") => printed.lines().for_each(|line| drop(parse(line))),
        Some("yaml") => {
            drop(serde_saphyr::from_str::<Value>(printed).unwrap_or_else(|error| panic!("{line}: {error}")))
        }
        _ => {}
    }
}

/// The outcomes without what differs with every run.
fn same_in_every_run(text: &str, server: &str) -> String {
    // The width of a column follows the ages in it.
    let squeezed: Vec<String> = text.lines().map(squeeze).collect();
    squeezed.join("\n").replace(server, "http://registry")
}

/// The line with two blanks for several, beyond its indentation.
fn squeeze(line: &str) -> String {
    let rest = line.trim_start_matches(' ');
    let mut squeezed = line[..line.len() - rest.len()].to_owned();
    let mut parts = rest.split("  ").map(str::trim).filter(|part| !part.is_empty());
    squeezed.push_str(parts.next().unwrap_or_default());
    parts.for_each(|part| squeezed.extend(["  ", part]));
    squeezed
}

macro_rules! assert_outcomes {
    ($name:literal, $text:expr) => {
        insta::with_settings!({ filters => vec![
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>"),
            (r"\b(\d+[smh])+\b", "<age>"),
            (r"\b[0-9a-f]{12}-\d+\b", "<request>"),
            (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
            (r"\b[0-9a-f]{32}\b", "<id>"),
            (r#"((?:low|high)_usd"?: ?)[0-9.e-]+"#, "$1<usd>"),
            (r"\b\d(\.\d+)?e-\d+\b", "<usd>"),
            (r"\b0\.0\d{2,}\b", "<usd>"),
            (r#"(age_seconds"?:? *)\d+"#, "$1<n>"),
            // YAML quotes an id that reads like a number.
            (r#": "(<(?:id|request|uuid)>)""#, ": $1"),
        ], snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

/// A registry in a folder, with plugins or without.
async fn registry(is_filled: bool) -> (TempDir, Daemon, String) {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let server = format!("http://{}", daemon.address);
    if is_filled {
        fill(&daemon.client()).await;
    }
    (folder, daemon, server)
}

async fn fill(client: &Client) {
    let mut worker = named("c", "worker");
    // An attack on terminals in the place where people look.
    worker["title"] = "\u{1b}]0;pwned\u{7}日本 \u{202e}x".into();
    worker["labels"] = json!({ "team": "a" });
    worker["spawned_pids"] = json!([4711]);
    client.register(&worker).await;
    let mut idle = named("c", "idle");
    idle["remote_resource"] =
        json!({ "provider": "aws", "instance_id": "i-1", "status": "running", "estimated_cost_per_hour": 0.1 });
    client.register(&idle).await;
    client.put("/plugins/c_worker/config", &json!({ "device": "cpu" })).answers(200).await;
    client
        .post("/budgets", &json!({ "name": "b", "limit_usd": 1_000_000, "limit_usd_per_hour": 100, "period": "total" }))
        .answers(201)
        .await;
}

#[tokio::test]
async fn every_reading_command_in_every_format() {
    let (_folder, _daemon, server) = registry(true).await;
    let mut text = String::new();
    for line in READING {
        for format in FORMATS {
            text.push_str(&outcome(&server, &format!("{line} -o {format}")).await);
        }
    }
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "a control character reached the terminal");
    assert_outcomes!("command_line_filled", same_in_every_run(&text, &server));
}

#[tokio::test]
async fn an_empty_registry_is_no_failure() {
    let (_folder, _daemon, server) = registry(false).await;
    let mut text = String::new();
    for line in READING.iter().filter(|line| !line.contains("c_worker")) {
        for format in FORMATS {
            text.push_str(&outcome(&server, &format!("{line} -o {format}")).await);
        }
    }
    assert_outcomes!("command_line_empty", same_in_every_run(&text, &server));
}

#[tokio::test]
async fn failures_print_no_data_and_have_their_own_exit_codes() {
    let (_folder, daemon, server) = registry(false).await;
    let mut text = String::new();
    for line in READING.iter().filter(|line| line.contains("c_worker")) {
        text.push_str(&outcome(&server, line).await);
        text.push_str(&outcome(&server, &format!("{line} -o json")).await);
    }
    daemon.client().post("/tokens", &json!({ "name": "admin", "role": "admin" })).answers(201).await;
    for line in READING {
        text.push_str(&outcome(&server, line).await);
        text.push_str(&outcome(&server, &format!("{line} -o json")).await);
    }
    for line in READING {
        let down = outcome(NOWHERE, &format!("{line} -o json")).await;
        assert!(down.contains("cannot be reached") && down.ends_with("-> 6\n\n"), "{down}");
    }
    assert_outcomes!("command_line_failures", same_in_every_run(&text, &server));
}

/// What the command shows on a terminal of 80 columns.
async fn on_a_terminal(mut command: Command) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(path.to_str().unwrap()).unwrap();
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(slave.as_fd(), size).unwrap();
    command.stdout(slave.try_clone().unwrap()).stderr(Stdio::null()).env("TERM", "xterm");
    let mut child = command.spawn().unwrap();
    drop((command, slave));
    let text = blocking(move || {
        let (mut master, mut shown) = (File::from(master), Vec::new());
        // The terminal fails with EIO when the last writer has closed it.
        let _ended = master.read_to_end(&mut shown);
        child.wait().unwrap();
        String::from_utf8(shown).unwrap()
    });
    within_patience("the terminal", text).await.replace("\r\n", "\n")
}

#[tokio::test]
async fn a_pipe_changes_colour_and_width_and_never_content() {
    let (_folder, _daemon, server) = registry(true).await;
    for line in READING {
        for format in ["json", "ndjson", "yaml", "csv", "tsv", "name", "fields=unique_id,plugin,id"] {
            // Amounts that grow with time differ between two readings, too.
            let grows = ["costs", "status", "budget", "resources", "findings", "whois"];
            if grows.iter().any(|command| line.starts_with(command)) {
                continue;
            }
            let line = format!("{line} -o {format}");
            let piped = String::from_utf8(finish(command(&server, &line)).await.stdout).unwrap();
            assert_eq!(on_a_terminal(command(&server, &line)).await, piped, "{line}");
        }
    }
    let shown = on_a_terminal(command(&server, "findings")).await;
    assert!(shown.contains("\u{1b}[31munverified"), "{shown}");
    assert!(shown.lines().all(|line| line.replace("\u{1b}[31m", "").replace("\u{1b}[0m", "").chars().count() <= 100));
    let mut plain = command(&server, "findings");
    plain.env("NO_COLOR", "1");
    assert!(!on_a_terminal(plain).await.contains('\u{1b}'));
    let mut forced = command(&server, "findings");
    forced.env("CLICOLOR_FORCE", "1");
    assert!(String::from_utf8(finish(forced).await.stdout).unwrap().contains("\u{1b}[31m"));
}

#[tokio::test]
async fn a_closed_pipe_ends_silently() {
    let (_folder, _daemon, server) = registry(true).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut closed = command(&server, "ls -o json");
    let output =
        blocking(move || closed.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
    let output = output.await;
    assert_eq!((output.status.code(), complaint(&output).as_str()), (Some(0), ""));
}

#[tokio::test]
async fn help_begins_with_examples_and_fits_a_screen() {
    for line in
        ["status", "ls", "get", "register", "resources", "watch", "costs", "wait", "release", "config edit", "api"]
    {
        let output = finish(command(NOWHERE, &format!("{line} --help"))).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().take(4).any(|line| line == "Examples:"), "{text}");
        assert!(text.lines().count() <= 50, "{line}: {} lines", text.lines().count());
        let all = finish(command(NOWHERE, &format!("{line} --help-all"))).await.stdout;
        assert!(String::from_utf8(all).unwrap().contains("--token-file"), "{line}");
    }
}

/// The whole life of a plugin, by commands.
#[tokio::test]
async fn a_plugin_is_registered_changed_and_removed() {
    let (folder, _daemon, server) = registry(false).await;
    let file = folder.path().join("many.yaml");
    std::fs::write(&file, "- {category: c, name: a, title: A, config_schema: {}}\n- {category: c, name: b, title: B, config_schema: {}}\n").unwrap();
    let file = file.to_str().unwrap();
    let mut text = String::new();
    for line in [
        &format!("register -f {file} --dry-run"),
        &format!("register -f {file}"),
        &format!("register -f {file} --dry-run -o json"),
        "register --category c --name d --label team=x -o name",
        "register --category c --name d --create-only",
        "update c_d title=D remote_resource.provider=aws -o fields=title,remote_resource.provider",
        "update c_d title=E --if-match 1",
        "label c_d stage=test team- -o fields=labels",
        "hold c_d --pid 4711 -o fields=spawned_pids",
        "rm c_d",
        "extend c_d process:4711 --never -o name",
        "release c_d process:4711 --dry-run",
        "release c_d process:4711 process:1 -o json",
        "config set c_d threads=4",
        "config get c_d -o json",
        "config rm c_d",
        "wait c_d --for configured --timeout 1ms",
        "rm c_d --force",
        "wait c_d --for deleted",
        "get c_d",
        "budget set monthly --limit 5 --period month -o fields=name,limit_usd",
        "budget set monthly --limit 6 --limit-per-hour 2 -o fields=name,limit_usd,limit_usd_per_hour",
        "budget set monthly --limit-per-hour none -o fields=name,limit_usd_per_hour",
        "budget set monthly --limit-per-hour much",
        "budget rm monthly",
        "api GET /plugins -q fields=unique_id -o jsonpath=$.total",
        "api DELETE /plugins/c_a",
        "lss",
    ] {
        text.push_str(&outcome(&server, line).await.replace(file, "many.yaml"));
    }
    assert_outcomes!("command_line_session", same_in_every_run(&text, &server));
}

#[tokio::test]
async fn a_context_keeps_the_token_to_itself_and_its_server() {
    let (folder, daemon, server) = registry(false).await;
    let token = daemon.client().post("/tokens", &json!({ "name": "admin", "role": "admin" })).answers(201).await.json();
    let home = folder.path().to_owned();
    let with_home = |line: &str| {
        let mut command = binary();
        command.args(line.split(' ')).env("XDG_CONFIG_HOME", &home);
        command
    };
    let login = format!("login {server} --name here --token {}", token["token"].as_str().unwrap());
    let output = finish(with_home(&login)).await;
    assert!(output.status.success() && complaint(&output).contains("as admin (admin)"), "{}", complaint(&output));
    assert_eq!(finish(with_home("ls")).await.status.code(), Some(0));
    // Another server gets no token.
    let mut elsewhere = with_home("whoami -o jsonpath=$.authenticated");
    elsewhere.env("PLUGIN_REGISTRY_SERVER", server.replace("127.0.0.1", "localhost"));
    assert_eq!(finish(elsewhere).await.stdout, b"false\n");
    let kept = folder.path().join("plugin-registry/here.token");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = finish(with_home("ls")).await;
    assert!(complaint(&refused).contains("other users may read the token"), "{}", complaint(&refused));
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(finish(with_home("logout")).await.status.code(), Some(0));
    assert!(!kept.exists());
    assert_eq!(finish(with_home("ls")).await.status.code(), Some(4));
    assert_eq!(finish(with_home("ls --context nowhere")).await.status.code(), Some(1));
}

#[tokio::test]
async fn a_shell_completes_ids_and_is_never_louder_than_silence() {
    let (_folder, _daemon, server) = registry(true).await;
    let completed = async |server: &str| {
        let mut command = binary();
        command
            .args(["--", "plugin-registry", "get", "c_w"])
            .env("COMPLETE", "bash")
            .env("PLUGIN_REGISTRY_SERVER", server);
        command.env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_IFS", "\n");
        let output = finish(command).await;
        assert_eq!(complaint(&output), "");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(completed(&server).await.contains("c_worker"));
    assert!(!completed(NOWHERE).await.contains("c_worker"));
    // The file for zsh calls the program.
    for (shell, kept) in [("bash", "plugin-registry.bash"), ("fish", "plugin-registry.fish")] {
        let mut command = binary();
        command.args(["completion", shell]);
        let script = String::from_utf8(finish(command).await.stdout).unwrap();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/completion").join(kept);
        if std::env::var_os("RENEW_REFERENCE").is_some() {
            std::fs::write(&kept, &script).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), script, "RENEW_REFERENCE=1 renews {}", kept.display());
    }
}
