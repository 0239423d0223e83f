//! kill -9 under load, again and again on one store: every acknowledged write is found, no half one, no revision
//! stands for two things, and nothing that anybody read is undone.
//!
//! The kernel outlives the process and keeps its pages, so what a missing sync costs cannot be seen here: that is
//! what [`crate::power_loss`] is for.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;
use crate::dice::Dice;
use crate::harm::{Control, Harm, Operations};
use crate::image::{Documents, Image};
use crate::load::Load;
use crate::observer::Observer;
use crate::restart::{check_restarted, open_copy};
use crate::server::Launch;
use crate::trap::{Bait, Trap};
use crate::violation::Violation;
use crate::{settings, shim};

const WRITERS: u64 = 16;
const READERS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_and_seen_writes_survive_kill_9() {
    let bench = Bench::new();
    let launch = &bench.launch;
    let dice = Dice::new(settings::seed("crash"));
    match kill_again_and_again(&bench, dice, settings::kills()).await {
        Ok(figures) => eprintln!("crash: {figures}"),
        Err(violation) => panic!("{violation}\nthe server logged:\n{}", launch.logged()),
    }
}

/// The same run finds the bugs that it is there to find. Each kill has a fair chance to; fifty in vain do not happen.
#[cfg(feature = "planted-bugs")]
#[rstest::rstest]
#[case::acknowledge_before_commit("acknowledge-before-commit")]
#[case::publish_before_commit("publish-before-commit")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_bug_is_found_by_kill_9(#[case] plant: &str) {
    let mut bench = Bench::new();
    bench.launch = bench.launch.with("PLUGIN_REGISTRY_PLANT", plant);
    let dice = Dice::new(settings::seed(plant));
    match kill_again_and_again(&bench, dice, 50).await {
        Ok(figures) => panic!("{plant} was not noticed: {figures}"),
        Err(violation) if violation.is_loss() => eprintln!("{plant} was found: {violation}"),
        Err(violation) => panic!("{plant} led to something else: {violation}"),
    }
}

/// A store, and the disk under it.
struct Bench {
    launch: Launch,
    disk: Control,
    _directory: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let directory = TempDir::new().expect("a temporary directory");
        let store = directory.path().join("store");
        std::fs::create_dir(&store).expect("a directory for the store");
        let disk = Control::create(&directory.path().join("faults")).expect("the control of the disk");
        let launch = Launch::new(&store.join("registry.db"), &directory.path().join("server.log"));
        let launch = shim::under(launch, &store).with("RECORDER_FAULTS", disk.path());
        Bench { launch, disk, _directory: directory }
    }
}

/// What a run amounted to.
#[derive(Default)]
struct Figures {
    kills: u64,
    kills_at_start: u64,
    revisions: u64,
    seen: u64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures { kills, kills_at_start, revisions, seen } = self;
        write!(out, "{kills} kills under load and {kills_at_start} at the start, {revisions} revisions, {seen} seen")
    }
}

async fn kill_again_and_again(bench: &Bench, mut dice: Dice, kills: u64) -> Result<Figures, Violation> {
    let trap = Arc::new(Trap::default());
    let observer = Observer::new({
        let trap = trap.clone();
        move |news| Ok(trap.touch(news)?)
    });
    let mut load = Load::new(&dice, &observer, WRITERS, READERS);
    let mut documents = Documents::default();
    let mut figures = Figures::default();
    let mut image = Image::default();
    let Bench { launch, disk, .. } = bench;
    for _ in 0..kills {
        // So slow that there is time to see what is not written yet. (Slow syncs would not do: what was written is
        // not lost with the process, synced or not.)
        disk.arm(Operations::Writes, 1, Harm::Slow(Duration::from_micros(dice.below(2000))))?;
        if dice.chance(1, 4) {
            kill_at_start(launch, &mut dice).await?;
            figures.kills_at_start += 1;
        }
        let server = launch.start()?;
        check_restarted(&Client::new(server.address()), &image, &mut documents).await?;
        let running = load.start(server.address());
        let news = 10 + dice.below(250);
        match dice.below(3) {
            0 => {
                trap.set(server.pid()?, news, Bait::Anything);
                running.until(|progress| progress.ended).await?;
            }
            1 => {
                trap.set(server.pid()?, news, Bait::Read);
                // Most are acknowledged before anybody reads them. The trap has its chance for a while.
                running.until(|progress| progress.news >= news + 50).await?;
            }
            _ => {
                running.until(|progress| progress.news >= news).await?;
                // Not to wait for anything: the kill shall fall anywhere, not only right behind a reply.
                tokio::time::sleep(Duration::from_micros(dice.below(8000))).await;
            }
        }
        trap.clear();
        server.kill();
        running.finish().await?;
        image = open_copy(launch.store())?;
        observer.witnesses().check(&image, &mut documents)?;
        figures.kills += 1;
    }
    figures.revisions = image.head;
    figures.seen = observer.witnesses().seen();
    Ok(figures)
}

/// Recovery is not to be trusted more than any other time.
async fn kill_at_start(launch: &Launch, dice: &mut Dice) -> Result<(), Violation> {
    let booting = launch.spawn()?;
    tokio::time::sleep(Duration::from_micros(dice.below(40_000))).await;
    booting.kill();
    Ok(())
}
