//! What the registry costs: the table of the README, measured in one run.
//!
//! ```text
//! cargo bench                            everything, about four minutes
//! cargo bench -- read_one register       only these measurements
//! BENCH_SMOKE=1 cargo bench              checks that everything works; the figures mean nothing
//! BENCH_DIR=/data cargo bench            with the stores on that disk
//! BENCH_POSTGRES=postgres://… cargo bench     with replicas on that server: see [`replicas`]
//! ```
//!
//! Every figure stands beside a yardstick from the same run: for example the whole service, as in production, against a
//! bare `axum::serve` with the same bytes, or a durable store against memory. The two sides alternate in rounds. A
//! ratio is the median over the rounds' ratios, so that a disturbance of the machine affects both sides. The benchmark
//! asserts nothing: a missed target is a line in the table.
//!
//! The measurements, each in a module of its name:
//!
//! - [`read_one`], [`list_active`]: reads, against bare axum.
//! - [`list_dearest`]: the dearest resources, against the list of active plugins.
//! - [`register`]: durable writes, against memory, against SQLite alone, and by the disk's own speed.
//! - [`watchers`]: their cost to the writer, and the delay of their events.
//! - [`replicas`]: several replicas on one PostgreSQL.
//! - [`truth`]: process probes, leases, agents.
//! - [`operations`]: the cost of authentication, rates, metrics and traces.
//! - [`start_up`]: the real binary: time to the first response, and memory per plugin.
//!
//! The parts, in reading order:
//!
//! 1. [`settings`]: the amounts, and the folder; [`machine`]: the machine.
//! 2. [`documents`], [`stores`]: the plugins, and the stores that hold them.
//! 3. [`server`]: the service, and bare axum; [`wire`] and [`load`]: the client, the same for both; [`cpu`]: processor
//!    time; [`side`]: all of these together.
//! 4. [`disk`], [`raw_sqlite`], [`slow_disk`]: the yardsticks of writes.
//! 5. [`samples`], [`table`]: the results.
//!
//! Linux only.
#![expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]
#![expect(clippy::print_stdout, reason = "the table goes to standard output; standard error is the servers' log")]

mod cpu;
mod disk;
mod documents;
mod list_active;
mod list_dearest;
mod load;
mod machine;
mod operations;
mod process;
mod raw_sqlite;
mod read_one;
mod register;
mod replicas;
mod samples;
mod server;
mod settings;
mod side;
mod slow_disk;
mod start_up;
mod stores;
mod table;
mod truth;
mod watchers;
mod wire;

use std::process::ExitCode;

use anyhow::Context as _;
use plugin_registry::cli::log_writer::LogThread;
use plugin_registry::cli::logging::{self, LogFormat};

use self::settings::Settings;
use self::stores::Stores;
use self::table::Table;

/// A measurement on filled stores, which adds its results to the table.
type Measurement = fn(&Settings, &Stores, &mut Table) -> anyhow::Result<()>;

/// As in the binary: both sides of every comparison use this allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the benchmark failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<()> {
    let settings = Settings::of_this_run()?;
    let machine = machine::describe(&settings.folder)?;
    let _log = log_as_in_production()?;
    println!("registering {} plugins and {} …", settings.plugins, settings.fewer_plugins);
    let stores = Stores::fill(&settings)?;
    let mut table = Table::default();
    let measurements: [(&str, Measurement); 9] = [
        ("read_one", read_one::measure),
        ("list_active", list_active::measure),
        ("list_dearest", list_dearest::measure),
        ("register", register::measure),
        ("watchers", watchers::measure),
        ("replicas", replicas::measure),
        ("truth", truth::measure),
        ("operations", operations::measure),
        ("start_up", start_up::measure),
    ];
    for (name, measure) in measurements.into_iter().filter(|(name, _)| settings.includes(name)) {
        println!("{name} …");
        measure(&settings, &stores, &mut table).with_context(|| format!("{name} could not be measured"))?;
    }
    println!("\n{table}\n{machine}, {} rounds each, median (least..greatest).", settings.rounds);
    if settings.is_smoke {
        println!("A smoke run: these figures mean nothing.");
    }
    Ok(())
}

/// Starts the log of `plugin-registry serve`, one line per request, with standard error on `/dev/null`: the benchmark
/// includes formatting and the system call, but no terminal or disk.
fn log_as_in_production() -> anyhow::Result<LogThread> {
    let sink = std::fs::File::options().write(true).open("/dev/null").context("/dev/null cannot be opened")?;
    rustix::stdio::dup2_stderr(&sink).context("standard error cannot be redirected")?;
    Ok(logging::start(LogFormat::Text, "info")?.0)
}
