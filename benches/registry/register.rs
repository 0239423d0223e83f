//! `POST /plugins`: new plugins, durable before the acknowledgement; by one client and by many concurrent ones.
//!
//! The disk decides the cost of a durable write, and disks differ a hundredfold. So the benchmark also measures the
//! disk ([`disk`], [`raw_sqlite`]), and repeats the comparison of many clients with one on a disk that is always slow
//! ([`slow_disk`]).

use std::sync::Arc;

use plugin_registry::clock::SystemClock;
use plugin_registry::registry::Registry;
use plugin_registry::store::StoreUrl;

use crate::documents;
use crate::raw_sqlite::RawSqlite;
use crate::samples::Samples;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::slow_disk::{self, SlowDisk};
use crate::stores::{self, Stores};
use crate::table::{Aim, Table, percent};
use crate::wire::post;
use crate::{disk, raw_sqlite};

/// The number of clients in the target.
const MANY: usize = 64;

/// The share of fsync in a single write's time from which fsync counts as the bottleneck: a 20-fold gain needs at least
/// that.
const IS_THE_LIMIT: f64 = 0.95;

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, _stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let mut rounds = Rounds::begin(settings)?;
    for _ in 0..settings.rounds {
        rounds.measure(settings)?;
    }
    rounds.tell(table);
    Ok(())
}

/// One store behind the service, with one client and with many.
struct Writes {
    lone: Side,
    many: Side,
}

impl Writes {
    fn to(name: &'static str, registry: Registry) -> anyhow::Result<Writes> {
        // As many threads as in production.
        let threads = std::thread::available_parallelism()?.get();
        let lone = Server::ours(name, threads, registry.clone())?;
        let many = Server::ours(name, threads, registry)?;
        Ok(Writes { lone: Side::of(lone, 1)?, many: Side::of(many, MANY)? })
    }
}

struct Rounds {
    sqlite: Writes,
    memory: Writes,
    slow: Writes,
    raw: RawSqlite,
    raw_rates: Samples,
    fsync_rates: Samples,
    registered: usize,
}

impl Rounds {
    fn begin(settings: &Settings) -> anyhow::Result<Rounds> {
        let file = |name: &str| StoreUrl::Sqlite(settings.folder.path().join(name));
        let slow = SlowDisk::under(file("slow.db").open()?);
        Ok(Rounds {
            sqlite: Writes::to("sqlite", stores::open(&file("register.db"))?)?,
            memory: Writes::to("memory", stores::open(&StoreUrl::Memory)?)?,
            slow: Writes::to("slow", Registry::start(Box::new(slow), Arc::new(SystemClock))?)?,
            raw: RawSqlite::create(&settings.folder.path().join("raw.db"))?,
            raw_rates: Samples::default(),
            fsync_rates: Samples::default(),
            registered: 0,
        })
    }

    fn measure(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let Settings { time, .. } = *settings;
        let registered = &mut self.registered;
        let mut document = || {
            *registered += 1;
            documents::idle(*registered)
        };
        self.fsync_rates.push(disk::syncs_a_second(&settings.folder, time)?);
        self.raw_rates.push(self.raw.inserts_a_second(time, &mut document)?);
        let mut next = |request: &mut Vec<u8>| post(request, "/plugins", &document());
        for store in [&mut self.sqlite, &mut self.memory, &mut self.slow] {
            store.lone.measure(time, 201, &mut next)?;
            store.many.measure(time, 201, &mut next)?;
        }
        Ok(())
    }

    fn tell(&self, table: &mut Table) {
        let Rounds { sqlite, memory, slow, raw_rates, fsync_rates, .. } = self;
        let (lone, many) = (&sqlite.lone.rates, &sqlite.many.rates);
        let share = lone.over(fsync_rates).median();
        table.tell("Register durably, 1 connection", (lone, "/s"), (raw_rates, raw_sqlite::NAME));
        table.tell("… against memory", (lone, "/s"), (&memory.lone.rates, "/s, `--store memory`"));
        let what = format!("Register durably, {MANY} connections");
        table.compare(&what, (many, "/s"), (&memory.many.rates, "/s, `--store memory`"), Aim::AtLeast(0.5));
        table.tell("… against one row a commit", (many, "/s"), (raw_rates, raw_sqlite::NAME));
        let gain = "… against 1 connection";
        let one = "/s, 1 connection";
        if share < IS_THE_LIMIT {
            table.tell(gain, (many, "/s"), (lone, one));
        } else {
            table.compare(gain, (many, "/s"), (lone, one), Aim::AtLeast(20.0));
        }
        let what = format!("… on a disk whose fsync takes {} ms", slow_disk::SYNC_TIME.as_millis());
        table.compare(&what, (&slow.many.rates, "/s"), (&slow.lone.rates, one), Aim::AtLeast(20.0));
        table.tell("fdatasync of this disk", (fsync_rates, "/s"), (lone, "/s, registrations, 1 connection"));
        table.note(format!(
            "Register: `synchronous=FULL`; new plugins of {} bytes; the client and the server's threads share the \
             processors. One fdatasync took {} of the time of a lone durable registration; 20 times the rate of 1 \
             connection can be had only where that is {} or more, as on the slow disk, which is the same SQLite store \
             with a sleep in every commit.",
            documents::idle(0).len(),
            percent(share),
            percent(IS_THE_LIMIT),
        ));
    }
}
