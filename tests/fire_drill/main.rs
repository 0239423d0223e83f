//! The fire drill: three plugins run under `exec`, an agent looks at them, and everything is killed in turn.
//!
//! Within the stated time every survivor is an orphan, with evidence; nothing that lives is ever called
//! gone, and no stranger is named. With the real binary, in real time: about a minute.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the log of CI keeps the measured time")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::timeout;

use plugin_registry::net::tls::trusting_no_server;

/// Within which every survivor must be an orphan: the lease's 5 s, the grace of findings, two looks, and as
/// much again for a busy machine.
const STATED: Duration = Duration::from_mins(1);

/// The interval of the agent's sweeps where the time to an orphan is measured: the default of agents, in seconds.
const INTERVAL: u64 = 5;

/// How long after the end of a lease its survivors must be orphans: the grace of findings and one interval of the probe.
/// The registry assesses once a second, and the machine may be busy.
const ORPHAN_AFTER: SignedDuration = SignedDuration::from_secs(10 + INTERVAL.cast_signed() + 2);

fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-registry"));
    command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
    command
}

/// A process of the drill, which is killed at its end.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn send(pid: u64, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

fn parent(pid: u64) -> u64 {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    line.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The registry, at an address that stays the same.
fn serve(address: &str, store: &str) -> Running {
    let mut command = binary(&["serve", "--listen", address, "--store", store, "--probe-own-host=false"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    Running(child)
}

fn agent(server: &str, interval: &str) -> Running {
    Running(binary(&["agent", "--server", server, "--host", "drill", "--interval", interval]).spawn().unwrap())
}

/// Runs a script as a plugin; returns the wrapper, and the numbers that the script says.
fn exec(server: &str, name: &str, script: &str) -> (Running, Vec<u64>) {
    let mut command = binary(&["exec", "--server", server, "--host", "drill", "--ttl", "5", "--grace", "0"]);
    command.args(["--category", "drill", "--name", name, "--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(child), line.split_whitespace().map(|number| number.parse().unwrap()).collect())
}

/// Who looks on, and cries out when something that lives is called gone, or a stranger is named.
struct Witness {
    http: reqwest::Client,
    server: String,
    alive: BTreeSet<u64>,
    ours: BTreeSet<u64>,
}

impl Witness {
    /// Waits until what is held is as it should be.
    async fn until(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut rows = Vec::new();
        let waited = timeout(STATED, async {
            let mut since = None;
            loop {
                let wait = since.map(|since| format!("&since={since}&wait=2s")).unwrap_or_default();
                let query = format!("{}/resources?kind=process{wait}", self.server);
                let answer = self.http.get(query).send().await.unwrap();
                if answer.status() == 304 {
                    // That something was seen again as it was is no revision, and has to be asked for.
                    since = None;
                    continue;
                }
                let page: Value = answer.json().await.unwrap();
                since = page["revision"].as_u64();
                rows.clone_from(page["items"].as_array().unwrap());
                self.check(&rows);
                if wanted(&rows) {
                    return;
                }
            }
        });
        assert!(waited.await.is_ok(), "{what}: not within {STATED:?}: {rows:#?}");
        rows
    }

    fn check(&self, rows: &[Value]) {
        for row in rows {
            let pid = number(row);
            assert!(self.ours.contains(&pid), "a stranger is named: {row}");
            let state = row["observed"]["state"].as_str().unwrap_or("unknown");
            assert!(!self.alive.contains(&pid) || !matches!(state, "gone" | "reused"), "it lives: {row}");
        }
    }
}

fn number(row: &Value) -> u64 {
    row["id"].as_str().unwrap().parse().unwrap()
}

fn row(rows: &[Value], pid: u64) -> Option<&Value> {
    rows.iter().find(|row| number(row) == pid)
}

fn is_orphan(rows: &[Value], pid: u64) -> bool {
    row(rows, pid).is_some_and(|row| row["finding"] == "orphan" && row["observed"]["state"] == "alive")
}

fn is_well(rows: &[Value], pid: u64) -> bool {
    row(rows, pid).is_some_and(|row| {
        row["finding"].is_null() && row["observed"]["state"] == "alive" && row["lease"]["state"] == "active"
    })
}

fn http() -> reqwest::Client {
    let tls = trusting_no_server().unwrap();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}

/// The time of the first event of a kind that is about `subject`: the id of a lease or of a plugin.
async fn first_event(witness: &Witness, kind: &str, subject: &str) -> Timestamp {
    let answer = witness.http.get(format!("{}/events?kind={kind}", witness.server)).send().await.unwrap();
    let page: Value = answer.json().await.unwrap();
    let first = page["items"].as_array().unwrap().iter().find(|event| event["subject"] == subject);
    assert!(first.is_some(), "{kind} of {subject}: {page}");
    first.unwrap()["time"].as_str().unwrap().parse().unwrap()
}

/// Runs a test again as the first process of a pid namespace, which then gets all orphans: a program that runs the tests
/// might get them otherwise. Returns true in the second run.
fn is_init(test: &str) -> bool {
    const INSIDE: &str = "PLUGIN_REGISTRY_DRILL_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(std::env::current_exe().unwrap());
    let status = command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(INSIDE, "1").status().unwrap();
    assert!(status.success(), "{test}: see above");
    false
}

/// What leaves a process behind in a session of its own, and says its number. Its standard input keeps it alive.
fn application(script: &str) -> (Running, u64) {
    let mut child =
        Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(child), line.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_of_a_young_application_is_found_within_the_stated_time() {
    if !is_init("an_orphan_of_a_young_application_is_found_within_the_stated_time") {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let store = format!("sqlite:{}", folder.path().join("r.db").display());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = format!("http://{address}");
    let (http, registry) = (http(), serve(&address, &store));
    let looking = agent(&server, &INTERVAL.to_string());

    // One application has a lease of 5 s, the other none. Both die young.
    let (mut leased, kept) = application("setsid sleep 1000 & echo $!; read line");
    let (mut unleased, handed_over) = application("setsid sleep 1000 & echo $!; read line");
    let lease = serde_json::json!({"holder": "young", "host": "drill", "ttl_seconds": 5});
    let granted = http.post(format!("{server}/leases")).json(&lease).send().await.unwrap();
    let granted: Value = granted.json().await.unwrap();
    for (name, pid, lease) in [("leased", kept, &granted["lease_id"]), ("unleased", handed_over, &Value::Null)] {
        let plugin = serde_json::json!({
            "category": "drill", "name": name, "title": "T", "config_schema": {}, "host": "drill",
            "spawned_pids": [pid], "lease_id": lease,
        });
        assert_eq!(http.post(format!("{server}/plugins")).json(&plugin).send().await.unwrap().status(), 201);
    }
    let ours = BTreeSet::from([kept, handed_over]);
    let witness = Witness { http, server, alive: ours.clone(), ours };
    let is_alive = |rows: &[Value], pid| row(rows, pid).is_some_and(|row| row["observed"]["state"] == "alive");
    witness.until("both are seen", |rows| witness.ours.iter().all(|pid| is_alive(rows, *pid))).await;
    leased.kill();
    unleased.kill();

    let rows = witness.until("an orphan by its lease", |rows| is_orphan(rows, kept)).await;
    let raised = row(&rows, kept).unwrap()["evidence"].clone();
    let lost = first_event(&witness, "lease.expired", granted["lease_id"].as_str().unwrap()).await;
    let found = first_event(&witness, "finding.raised", "drill_leased").await;
    let took = found.duration_since(lost);
    println!("an orphan was found {took} after its lease was lost, {raised}");
    assert!(took <= ORPHAN_AFTER, "{took}");
    let rows = witness.until("an orphan by its parent", |rows| is_orphan(rows, handed_over)).await;
    let evidence = row(&rows, handed_over).unwrap()["evidence"]["text"].as_str().unwrap().to_owned();
    let expected = format!("its parent {} `sh` has ended; it was handed to process ", unleased.0.id());
    assert!(evidence.contains(&expected), "{evidence}");
    // Its supervisor starts the first one again, under a new lease and with a new process. The old one runs on.
    let granted: Value = witness
        .http
        .post(format!("{}/leases", witness.server))
        .json(&lease)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let own = u64::from(std::process::id());
    let again = serde_json::json!({
        "category": "drill", "name": "leased", "title": "T", "config_schema": {}, "host": "drill",
        "spawned_pids": [own], "lease_id": granted["lease_id"],
        "remote_resource": {"provider": "aws", "instance_id": "i-1", "status": "RUNNING", "estimated_cost_per_hour": 24.5},
    });
    let plugins = format!("{}/plugins", witness.server);
    assert_eq!(witness.http.post(&plugins).json(&again).send().await.unwrap().status(), 200);
    let ours = BTreeSet::from([kept, handed_over, own]);
    let witness = Witness { alive: ours.clone(), ours, ..witness };
    let is_left =
        |rows: &[Value]| row(rows, kept).is_some_and(|row| row["claim"] == "left_behind") && is_orphan(rows, kept);
    witness.until("what the former life left behind", |rows| is_left(rows) && is_alive(rows, own)).await;
    // It rents a second machine while the first one still bills.
    let second = serde_json::json!({"provider": "aws", "instance_id": "i-2", "status": "RUNNING", "estimated_cost_per_hour": 24.5});
    let remote = format!("{plugins}/drill_leased/remote_resource");
    assert_eq!(witness.http.put(remote).json(&second).send().await.unwrap().status(), 200);
    let rest = format!("{}/resources?instance_id=i-1&finding=orphan&since=1&wait=30s", witness.server);
    let first: Value = timeout(STATED, async {
        loop {
            let page: Value = witness.http.get(&rest).send().await.unwrap().json().await.unwrap();
            match page["items"].as_array().and_then(|rows| rows.first()) {
                Some(row) => return row.clone(),
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    })
    .await
    .unwrap();
    assert_eq!((&first["claim"], &first["billable"]), (&Value::from("left_behind"), &Value::from(true)), "{first}");
    let costs = witness.http.get(format!("{}/costs", witness.server)).send().await.unwrap();
    let costs: Value = costs.json().await.unwrap();
    assert_eq!(costs["burn_usd_per_hour"], 49, "{costs}");

    // What was left behind leaves without noise.
    let witness = Witness { alive: BTreeSet::from([own]), ..witness };
    for pid in [kept, handed_over] {
        send(pid, Signal::KILL);
    }
    witness.until("what was left behind has ended", |rows| row(rows, kept).is_none()).await;
    drop((looking, registry));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_survivor_is_an_orphan_and_nothing_alive_is_called_gone() {
    let folder = tempfile::TempDir::new().unwrap();
    let store = format!("sqlite:{}", folder.path().join("r.db").display());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = format!("http://{address}");
    let mut registry = serve(&address, &store);
    let mut looking = agent(&server, "0.3");

    // Of the first, one process has left for a session of its own, and will survive.
    let (mut first, said) = exec(&server, "first", "setsid sleep 1000 & echo $PPID $$ $!; exec sleep 1000");
    let [supervisor, command, survivor] = said[..] else { panic!("{said:?}") };
    let (mut second, said) = exec(&server, "second", "echo $$; exec sleep 1000");
    let ended = said[0];
    let (third, said) = exec(&server, "third", "echo $$; exec sleep 1000");
    let well = said[0];
    let http = http();
    let ours = BTreeSet::from([command, survivor, ended, well]);
    let witness = Witness { http, server: server.clone(), alive: BTreeSet::from([survivor, well]), ours };
    witness.until("all are seen", |rows| witness.ours.iter().all(|pid| is_well(rows, *pid))).await;

    // The first loses all three processes at once, so that none can act; the second loses the one that reports.
    let monitor = parent(supervisor);
    send(first.0.id().into(), Signal::STOP);
    send(monitor, Signal::STOP);
    send(supervisor, Signal::KILL);
    send(monitor, Signal::KILL);
    first.kill();
    send(parent(parent(ended)), Signal::KILL);
    second.0.wait().unwrap();
    // The lease of `exec` lets the registry release what was seen gone.
    let released = |rows: &[Value], pid| row(rows, pid).is_none();
    let found = |rows: &[Value]| {
        is_orphan(rows, survivor) && released(rows, command) && released(rows, ended) && is_well(rows, well)
    };
    let rows = witness.until("the wrappers were killed", found).await;
    let evidence = &row(&rows, survivor).unwrap()["evidence"];
    assert!(evidence["text"].as_str().unwrap().contains("agent of drill"), "{evidence}");
    assert!(!evidence["next_step"].as_str().unwrap().is_empty(), "{evidence}");

    // The agent: what it has said is not forgotten, and another one goes on.
    looking.kill();
    let stale = row(&rows, well).unwrap()["observed"]["at"].as_str().unwrap().to_owned();
    drop(looking);
    looking = agent(&server, "0.3");
    registry.kill();
    drop(registry);
    registry = serve(&address, &store);
    let seen_since = |rows: &[Value]| row(rows, well).is_some_and(|row| row["observed"]["at"].as_str() > Some(&*stale));
    witness
        .until("agent and registry were killed", |rows| {
            is_orphan(rows, survivor) && is_well(rows, well) && seen_since(rows)
        })
        .await;
    send(survivor, Signal::KILL);
    drop((third, looking, registry));
}
