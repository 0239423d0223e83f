//! The cost of liveness: probes of processes, renewals of leases, an agent without changes to report.

use std::fs::read_dir;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::cpu;
use crate::process::Process;
use crate::samples::Samples;
use crate::settings::Settings;
use crate::stores::Stores;
use crate::table::{Aim, Table};
use crate::wire::{Connection, post};
use domain::plugin::Pid;
use plugin_registry::liveness::process::ProcessProbe;

/// The number of leases.
const LEASES: usize = 5_000;

/// The lifetime of a lease without renewal, in seconds. Renewals come after a third of it.
const TTL: usize = 10;

/// The interval at which a part of the leases is renewed.
const BEAT: Duration = Duration::from_millis(20);

/// How long a round measures an agent.
const IDLE: Duration = Duration::from_secs(6);

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let [mut looks, mut renewing, mut idle] = [Samples::default(), Samples::default(), Samples::default()];
    let server = Process::start(&stores.empty, "/healthz")?;
    let mut leases = Leases::grant(&server)?;
    // Without a pause: to revive an expired lease takes a write, which would distort the result.
    for _ in 0..settings.rounds {
        renewing.push(leases.renew(&server, settings.time * 2)?);
    }
    for _ in 0..settings.rounds {
        looks.push(looks_a_second(settings.time)?);
        let agent = Process::agent(server.address, "bench")?;
        // The start of the agent is not part of the measurement.
        sleep(Duration::from_millis(500));
        let before = agent.cpu_seconds()?;
        sleep(IDLE);
        idle.push((agent.cpu_seconds()? - before) / IDLE.as_secs_f64() * 100.0);
    }
    let what = "Look at processes: a second of processor time";
    table.judge_alone(what, (&looks, "processes"), Aim::AtLeast(10_000.0));
    let what = format!("{LEASES} leases of {TTL} s, renewed over HTTP: of a core");
    table.judge_alone(&what, (&renewing, "%"), Aim::AtMost(5.0));
    table.tell("An agent with nothing to tell: of a core", (&idle, "%"), (&renewing, "% (the row above)"));
    table.note(format!(
        "Leases: {} renewals a second over one connection to the release binary on SQLite, its log at `info`; its \
         processor time, passes over the leases included.",
        LEASES * 3 / TTL,
    ));
    Ok(())
}

/// Probes every process of this machine, repeatedly.
fn looks_a_second(time: Duration) -> anyhow::Result<f64> {
    let names = read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids: Vec<Pid> = names.filter_map(|name| name.parse().ok()).collect();
    ensure!(!pids.is_empty(), "there are no processes");
    let mut probe = ProcessProbe::new()?;
    let (begin, before) = (Instant::now(), cpu::of_this_thread()?);
    let mut looked = 0;
    while begin.elapsed() < time {
        for pid in &pids {
            let look = probe.look(*pid);
            std::hint::black_box(probe.judge(*pid, look, None));
        }
        looked += pids.len();
    }
    Ok(looked as f64 / (cpu::of_this_thread()? - before))
}

/// Leases, and the client that renews them.
struct Leases {
    ids: Vec<String>,
    connection: Connection,
    next: usize,
}

impl Leases {
    fn grant(server: &Process) -> anyhow::Result<Leases> {
        let mut connection = Connection::open(server.address)?;
        let mut ids = Vec::with_capacity(LEASES);
        for number in 0..LEASES {
            let mut request = Vec::new();
            let terms = format!(r#"{{"holder":"bench {number}","host":"host-{}","ttl_seconds":{TTL}}}"#, number % 50);
            post(&mut request, "/leases", &terms);
            connection.send(&request)?;
            let answer = connection.receive()?;
            ensure!(answer.status == 201, "a lease was not granted: {}", answer.status);
            let lease: Value = serde_json::from_slice(answer.body)?;
            ids.push(lease.get("lease_id").and_then(Value::as_str).context("a lease has an id")?.to_owned());
        }
        Ok(Leases { ids, connection, next: 0 })
    }

    /// Renews each lease in turn, for a while; returns the share of a core that the server took, in percent.
    fn renew(&mut self, server: &Process, time: Duration) -> anyhow::Result<f64> {
        let (begin, before) = (Instant::now(), server.cpu_seconds()?);
        let rate = (LEASES * 3) as f64 / TTL as f64;
        let mut renewed = 0.0;
        while begin.elapsed() < time {
            while renewed < begin.elapsed().as_secs_f64() * rate {
                let id = self.ids.get(self.next % self.ids.len()).context("there are leases")?;
                let request = format!("PUT /leases/{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
                self.connection.send(request.as_bytes())?;
                let status = self.connection.receive()?.status;
                ensure!(status == 200, "a lease was not renewed: {status}");
                self.next += 1;
                renewed += 1.0;
            }
            sleep(BEAT);
        }
        Ok((server.cpu_seconds()? - before) / begin.elapsed().as_secs_f64() * 100.0)
    }
}
