//! The power goes, at thousands of moments and in thousands of ways: every acknowledged write is on the disk, and
//! every one that was ever read; nothing is corrupt.
//!
//! A machine cannot be switched off five thousand times. So one run under load is recorded, operation by
//! operation, with the replies that clients received in between (`recorder.c`); then the disk is put together as
//! it can be after a power loss at some moment of the run (`disk.rs`, `survival.rs`), and opened (`examination.rs`).

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Reply};
use crate::dice::Dice;
use crate::examination::{Examination, Figures};
use crate::harm::{Control, Harm, Operations};
use crate::image::{Documents, open_image};
use crate::load::{Load, Running};
use crate::observer::{News, Observer};
use crate::recording::{self, Notes};
use crate::server::Launch;
use crate::violation::Violation;
use crate::{settings, shim};

/// Few writers make small batches, so that the log of `SQLite` is full, and begun again, after few changes.
const WRITERS: u64 = 4;
const READERS: u64 = 2;
/// Changes in each life of the server. They fill 1,500 pages or so, and a checkpoint comes after 1,000.
const CHANGES: u64 = 600;
const LIVES: u64 = 4;
/// Operations that fail in each life, where some are to.
const FAILURES: u64 = 7;
/// The name of the store's file in the recorded directory.
pub(crate) const STORE: &str = "registry.db";
/// Images are written and removed again: on a real disk that would be the greater part of the work.
pub(crate) const MEMORY: &str = "/dev/shm";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_and_seen_writes_survive_a_power_loss() {
    let dice = Dice::new(settings::seed("power loss"));
    let figures = lose_power(&dice, &[], 0, settings::power_states()).await.unwrap_or_else(|why| panic!("{why}"));
    eprintln!("power loss: {figures}");
    assert!(figures.wal_resets >= 2, "too few checkpoints were through: raise CHANGES ({figures})");
}

/// A sync that failed is not made good by the next one: Linux may have dropped the pages and called them clean
/// (<https://wiki.postgresql.org/wiki/Fsync_Errors>). What is acknowledged afterwards must not rest on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_and_seen_writes_survive_a_power_loss_after_the_disk_failed() {
    let dice = Dice::new(settings::seed("power loss after failures"));
    let states = settings::power_states().div_ceil(4);
    let figures = lose_power(&dice, &[], FAILURES, states).await.unwrap_or_else(|why| panic!("{why}"));
    eprintln!("power loss after failures: {figures}");
    assert!(figures.refused > 0, "no write was refused: the failures did not happen");
}

/// The same run finds the bugs that it is there to find.
#[cfg(feature = "planted-bugs")]
#[rstest::rstest]
#[case::synchronous_normal("synchronous-normal")]
#[case::synchronous_off("synchronous-off")]
#[case::acknowledge_before_commit("acknowledge-before-commit")]
#[case::publish_before_commit("publish-before-commit")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_bug_is_found_by_a_power_loss(#[case] plant: &str) {
    let dice = Dice::new(settings::seed(plant));
    match lose_power(&dice, &[("PLUGIN_REGISTRY_PLANT", plant)], 0, 2000).await {
        Ok(figures) => panic!("{plant} was not noticed: {figures}"),
        Err(violation) if violation.is_loss() => eprintln!("{plant} was found: {violation}"),
        Err(violation) => panic!("{plant} led to something else: {violation}"),
    }
}

async fn lose_power(
    dice: &Dice,
    environment: &[(&'static str, &str)],
    failures: u64,
    states: u64,
) -> Result<Figures, Violation> {
    let run = TempDir::new_in(MEMORY)?;
    let (directory, log) = (run.path().join("store"), run.path().join("log"));
    std::fs::create_dir(&directory)?;
    let control = Control::create(&run.path().join("faults"))?;
    let launch = Launch::new(&directory.join(STORE), &run.path().join("server.log"));
    let launch = shim::under(launch, &directory).with("RECORDER_LOG", &log).with("RECORDER_FAULTS", control.path());
    let launch = launch.with_each(environment);
    let notes = Notes::create(&log)?;
    let observer = record(&launch, &control, &notes, dice, failures).await?;
    let log = std::fs::read(&log)?;
    let records = recording::read(&log)?;
    let image = open_image(&directory.join(STORE)).map_err(Violation::Corrupt)?;
    observer.witnesses().check(&image, &mut Documents::default())?;
    let figures = Examination::new(&records, &observer.witnesses(), &image.store).run(dice, states)?;
    Ok(Figures { revisions: image.head, refused: observer.refused(), ..figures })
}

/// The lives of a server under load. Half of them end with kill -9 in the place of a sync: what was to be synced is
/// complete, and there for the next life to recover, but a power loss would take it. A server that showed it to
/// readers as it is would show what can still be undone. The others are stopped, which removes the write-ahead log.
async fn record(
    launch: &Launch,
    control: &Control,
    notes: &Notes,
    dice: &Dice,
    failures: u64,
) -> Result<Arc<Observer>, Violation> {
    let observer = Observer::new({
        let notes = notes.clone();
        move |news: News| notes.seen(news.revision())
    });
    let directory = launch.store().parent().ok_or_else(|| Violation::Harness("a store in no directory".into()))?;
    let mut load = Load::new(dice, &observer, WRITERS, READERS);
    for life in 1..=LIVES {
        let server = launch.start()?;
        read_before_anybody_writes(&Client::new(server.address()), &observer).await?;
        let mut running = load.start(server.address());
        bear_load(&mut running, control, &mut dice.for_task(4000 + life), failures).await?;
        if life % 2 == 0 {
            server.stop()?;
        } else {
            control.arm(Operations::Syncs, 1, Harm::Kill)?;
            // A sync comes at once, unless a bug is planted that leaves it out.
            tokio::task::block_in_place(|| server.is_gone_within(Duration::from_secs(1)));
            server.kill();
            control.disarm()?;
        }
        running.finish().await?;
        notes.files(directory)?;
    }
    Ok(observer)
}

/// The load of one life, during which `failures` operations fail, one at a time.
async fn bear_load(
    running: &mut Running<'_>,
    control: &Control,
    dice: &mut Dice,
    failures: u64,
) -> Result<(), Violation> {
    let share = CHANGES / (failures + 1);
    for failure in 1..=failures {
        running.reach(|progress| progress.news >= failure * share).await?;
        // There are ten writes to a sync, and it is the syncs that are dangerous.
        let (operations, nth) = match dice.below(2) {
            0 => (Operations::Syncs, 1 + dice.below(3)),
            _ => (Operations::Writes, 1 + dice.below(30)),
        };
        control.arm(operations, nth, Harm::Once(Errno::IO))?;
    }
    running.reach(|progress| progress.news >= CHANGES).await?;
    Ok(())
}

/// What a server has recovered must be on the disk when it is shown, not only after the next write.
async fn read_before_anybody_writes(client: &Client, observer: &Observer) -> Result<(), Violation> {
    let Reply::Answer(answer) = client.list().await? else {
        return Err(Violation::Server("did not answer after its start".into()));
    };
    let items = answer.body.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    observer.read_list(answer.revision, items)
}
