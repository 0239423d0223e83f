//! Replicas on one PostgreSQL: durable registrations at one replica and at three, and the delay until the others show
//! them. The gain over a loop is measured a second time on a database with an artificially slow disk.
//!
//! `BENCH_POSTGRES` names the server, as `tests/system/postgres start FOLDER` prints it; without it, this measurement is
//! skipped.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

use crate::documents;
use crate::samples::Samples;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::slow_disk::SYNC_TIME;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table};
use crate::wire::post;
use domain::command::{Command, Request};
use domain::plugin::{Registration, json};
use plugin_registry::registry::Registry;
use plugin_registry::store::StoreUrl;

/// The registering connections, over all replicas.
const CLIENTS: usize = 64;

/// The final number of replicas.
const REPLICAS: usize = 3;

/// The timed writes in a round.
const TIMED: usize = 100;

/// The name of the yardstick.
const LOOP: &str = "/s, INSERT … COMMIT in a loop";

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, _stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let Ok(server) = std::env::var("BENCH_POSTGRES") else {
        table.note("Replicas: not measured, because BENCH_POSTGRES names no server.".into());
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let slow_disk = format!("commit_delay = {}", SYNC_TIME.as_micros());
    let mut fast = Database::make(&runtime, &server, "bench", &[])?;
    let mut slow = Database::make(&runtime, &server, "bench_slow", &[&slow_disk, "commit_siblings = 0"])?;
    let (mut usual, mut late) = (Samples::default(), Samples::default());
    for _ in 0..settings.rounds {
        fast.measure(&runtime, settings.time)?;
        slow.measure(&runtime, settings.time)?;
        let waits = fast.three.time_the_way(&runtime)?;
        let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or(f64::NAN);
        usual.push(at(50));
        late.push(at(99));
    }
    fast.tell(&format!("PostgreSQL: register durably, {CLIENTS} connections"), table);
    let what = "From the answer of one replica until another shows it: 99 % within";
    table.judge(what, (&late, "ms"), (&usual, "ms for half of them"), Aim::AtMost(50.0));
    slow.tell(&format!("… on a disk whose fsync takes {} ms longer", SYNC_TIME.as_millis()), table);
    table.note(format!(
        "PostgreSQL: on this machine, with fsync; the clients, the replicas and the database share the processors. The \
         loop inserts one document of {} bytes a transaction. The slow disk is PostgreSQL's own `commit_delay`, before \
         each flush of its log.",
        documents::idle(0).len()
    ));
    Ok(())
}

/// Two databases on the server, for one replica and for several, and a third with the table of the loop.
struct Database {
    raw: String,
    one: Replicas,
    three: Replicas,
    /// Rows a second of one loop, and of one loop per client.
    alone: Samples,
    many: Samples,
}

impl Database {
    /// Recreates the databases, with settings of PostgreSQL.
    fn make(runtime: &Runtime, server: &str, name: &str, settings: &[&str]) -> anyhow::Result<Database> {
        let url = |database: &str| format!("{server}/{database}?sslmode=disable");
        let names = ["one", "three", "raw"].map(|part| format!("{name}_{part}"));
        runtime.block_on(async {
            let admin = connect(&url("postgres")).await?;
            for database in &names {
                admin.batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await?;
                admin.batch_execute(&format!("CREATE DATABASE {database}")).await?;
                for setting in settings {
                    admin.batch_execute(&format!("ALTER DATABASE {database} SET {setting}")).await?;
                }
            }
            let [.., raw] = &names;
            let statement = "CREATE TABLE raw (id bigserial PRIMARY KEY, document text NOT NULL)";
            anyhow::Ok(connect(&url(raw)).await?.batch_execute(statement).await?)
        })?;
        let [one, three, raw] = names.map(|database| url(&database));
        let (one, three) = (Replicas::start(&one, 1)?, Replicas::start(&three, REPLICAS)?);
        Ok(Database { raw, one, three, alone: Samples::default(), many: Samples::default() })
    }

    fn measure(&mut self, runtime: &Runtime, time: Duration) -> anyhow::Result<()> {
        self.alone.push(runtime.block_on(inserts_a_second(&self.raw, 1, time))?);
        self.many.push(runtime.block_on(inserts_a_second(&self.raw, CLIENTS, time))?);
        self.one.register(time)?;
        self.three.register(time)
    }

    fn tell(&self, what: &str, table: &mut Table) {
        let Database { one, three, alone, many, .. } = self;
        table.compare(what, (&one.rates, "/s, 1 replica"), (alone, LOOP), Aim::AtLeast(3.0));
        let loops = format!("{LOOP}s of {CLIENTS} connections");
        table.tell("… against as many loops", (&one.rates, "/s"), (many, &loops));
        let what = format!("… at {REPLICAS} replicas");
        table.compare(&what, (&three.rates, "/s"), (&one.rates, "/s, 1 replica"), Aim::AtLeast(0.8));
    }
}

/// Replicas on one database, each with its clients.
struct Replicas {
    registries: Vec<Registry>,
    sides: Vec<Side>,
    /// Registrations a second over all replicas.
    rates: Samples,
    registered: usize,
}

impl Replicas {
    fn start(url: &str, number: usize) -> anyhow::Result<Replicas> {
        let store: StoreUrl = url.parse().map_err(anyhow::Error::msg)?;
        let registries = (0..number).map(|_| stores::open(&store)).collect::<anyhow::Result<Vec<_>>>()?;
        let threads = std::thread::available_parallelism()?.get();
        let side = |(place, registry): (usize, &Registry)| {
            let server = Server::ours("replica", threads, registry.clone())?;
            let share = CLIENTS / number + usize::from(place < CLIENTS % number);
            Side::of(server, share)
        };
        let sides = registries.iter().enumerate().map(side).collect::<anyhow::Result<_>>()?;
        Ok(Replicas { registries, sides, rates: Samples::default(), registered: 0 })
    }

    /// Registers new plugins at all replicas at once.
    fn register(&mut self, time: Duration) -> anyhow::Result<()> {
        let begin = self.registered;
        // No client registers that many plugins in a round.
        let of_one = 10_000_000;
        self.registered += of_one * self.sides.len();
        let rate = std::thread::scope(|threads| {
            let clients: Vec<_> = self
                .sides
                .iter_mut()
                .enumerate()
                .map(|(place, side)| {
                    threads.spawn(move || {
                        let mut number = begin + place * of_one;
                        let mut next = |request: &mut Vec<u8>| {
                            number += 1;
                            post(request, "/plugins", &documents::idle(number));
                        };
                        side.measure(time, 201, &mut next)?;
                        anyhow::Ok(side.rates.last())
                    })
                })
                .collect();
            let rates = clients
                .into_iter()
                .map(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked")).and_then(|rate| rate));
            rates.sum::<anyhow::Result<f64>>()
        })?;
        self.rates.push(rate);
        Ok(())
    }

    /// The time from the acknowledgement of one replica until the next one shows the write, in milliseconds, sorted.
    fn time_the_way(&mut self, runtime: &Runtime) -> anyhow::Result<Vec<f64>> {
        let [near, far, ..] = self.registries.as_slice() else { anyhow::bail!("there are several replicas") };
        let begin = self.registered;
        self.registered += TIMED;
        runtime.block_on(async {
            let mut waits = Vec::with_capacity(TIMED);
            for number in begin..begin + TIMED {
                let registration = Registration::read(json::parse(documents::idle(number).as_bytes())?)?;
                let outcome = near.submit(Request::plain(Command::Register(Box::new(registration)))).await?;
                let answered = Instant::now();
                far.topics().reached(outcome.revision).await;
                waits.push(answered.elapsed().as_secs_f64() * 1e3);
            }
            waits.sort_by(f64::total_cmp);
            Ok(waits)
        })
    }
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("BENCH_POSTGRES does not answer")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Inserts one row per transaction over some connections, each as soon as its last one is committed.
async fn inserts_a_second(url: &str, connections: usize, time: Duration) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let inserting = (0..connections).map(|number| {
        let url = url.to_owned();
        tokio::spawn(async move {
            let client = connect(&url).await?;
            let insert = client.prepare("INSERT INTO raw (document) VALUES ($1)").await?;
            let mut inserted = 0_u32;
            let begin = Instant::now();
            while begin.elapsed() < time {
                // Each statement is a transaction.
                client.execute(&insert, &[&documents::idle(number)]).await?;
                inserted += 1;
            }
            anyhow::Ok(f64::from(inserted) / begin.elapsed().as_secs_f64())
        })
    });
    let mut rate = 0.0;
    for client in inserting.collect::<Vec<_>>() {
        rate += client.await.context("a client panicked")??;
    }
    ensure!(begin.elapsed() >= time, "the loop ended early");
    Ok(rate)
}
