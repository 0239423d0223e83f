//! A disk that is full, really: a small tmpfs under the store fills up while clients write and read. Reads go on,
//! writes are refused whole, and return without a restart when the tmpfs is enlarged.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::client::Client;
use crate::dice::Dice;
use crate::image::Documents;
use crate::load::Load;
use crate::observer::Observer;
use crate::restart::{check_restarted, open_copy};
use crate::server::Launch;
use crate::session::{Outcome, Session, Step};
use crate::settings;
use crate::violation::Violation;

/// Room for a few hundred changes. A write-ahead log takes 4 MB before it is begun again, so it does not all fit.
const SMALL: &str = "size=3m";
const ENLARGED: &str = "size=64m";
/// Enough to be sure that the disk is full, and not only full for one batch.
const REFUSED: u64 = 100;

/// One client that knows exactly what every reply must be.
#[tokio::test]
async fn a_full_disk_refuses_writes_whole_and_they_return() {
    let disk = SmallDisk::mount();
    let launch = disk.launch();
    if let Err(violation) = fill_and_enlarge(&disk, &launch).await {
        panic!("{violation}\nthe server logged:\n{}", launch.logged());
    }
}

/// The same run finds a server that answers what the disk then does not take.
#[cfg(feature = "planted-bugs")]
#[tokio::test]
async fn a_planted_bug_is_found_by_a_full_disk() {
    let disk = SmallDisk::mount();
    let launch = disk.launch().with("PLUGIN_REGISTRY_PLANT", "acknowledge-before-commit");
    match fill_and_enlarge(&disk, &launch).await {
        Ok(()) => panic!("acknowledge-before-commit was not noticed"),
        Err(Violation::Harness(why)) => panic!("acknowledge-before-commit led to something else: {why}"),
        Err(violation) => eprintln!("acknowledge-before-commit was found: {violation}"),
    }
}

/// Many clients at once, whose writes are of all sizes, so that some fit when others do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_load_loses_nothing() {
    let disk = SmallDisk::mount();
    let launch = disk.launch();
    let dice = Dice::new(settings::seed("full disk"));
    if let Err(violation) = fill_under_load(&disk, &launch, &dice).await {
        panic!("{violation}\nthe server logged:\n{}", launch.logged());
    }
}

async fn fill_and_enlarge(disk: &SmallDisk, launch: &Launch) -> Result<(), Violation> {
    let observer = Observer::new(|_news| Ok(()));
    let server = launch.start()?;
    let mut session = Session::new(Client::new(server.address()), &observer);
    for step in [Step::Register("a", 8), Step::RegisterWithPids("b", 8), Step::Register("c", 8)] {
        expect(Outcome::Done, step, session.take(step).await?)?;
    }
    // 400 kB each, twice: the journal keeps them all, so the disk is full before long.
    let mut filled = 0;
    while session.take(Step::Register("big", 40_000)).await? == Outcome::Done {
        filled += 1;
        if filled > 100 {
            return Err(Violation::WrongReply(format!("{filled} large writes were taken by a small disk")));
        }
    }
    let big = [Step::Register("big", 40_000), Step::Register("new", 40_000), Step::RegisterWithPids("a", 40_000)];
    for step in big {
        expect(Outcome::Refused, step, session.take(step).await?)?;
    }
    let small =
        [Step::PutPids("a"), Step::Delete("c"), Step::Register("b", 8), Step::Register("c", 8), Step::PutPids("b")];
    let mut done = 0;
    for step in small {
        // There may be room for these. Done or refused, the session has read what stands.
        done += u32::from(session.take(step).await? == Outcome::Done);
    }
    let head = session.head();
    eprintln!("full disk: {filled} large writes fitted, then {done} of 5 small ones; revision {head}");
    disk.enlarge();
    for step in big.into_iter().chain(small) {
        expect(Outcome::Done, step, session.take(step).await?)?;
    }
    server.kill();
    check_restart(launch, &observer).await
}

async fn fill_under_load(disk: &SmallDisk, launch: &Launch, dice: &Dice) -> Result<(), Violation> {
    let observer = Observer::new(|_news| Ok(()));
    let mut load = Load::new(dice, &observer, 8, 2);
    let server = launch.start()?;
    let mut running = load.start(server.address());
    let full = running.reach(|progress| progress.refusals >= REFUSED).await?.news;
    disk.enlarge();
    let enlarged = running.reach(|progress| progress.news >= full + 200).await?.news;
    server.kill();
    running.finish().await?;
    eprintln!("full disk: {full} changes when it was full, {enlarged} in the end");
    check_restart(launch, &observer).await
}

async fn check_restart(launch: &Launch, observer: &Observer) -> Result<(), Violation> {
    let mut documents = Documents::default();
    let image = open_copy(launch.store())?;
    observer.witnesses().check(&image, &mut documents)?;
    let server = launch.start()?;
    check_restarted(&Client::new(server.address()), &image, &mut documents).await?;
    server.stop()
}

fn expect(expected: Outcome, step: Step, outcome: Outcome) -> Result<(), Violation> {
    if outcome == expected {
        Ok(())
    } else {
        Err(Violation::WrongReply(format!("{outcome:?}").to_lowercase()).during(step))
    }
}

/// A tmpfs of its own, unmounted at the end, whatever the end is. Declared before the server, so that the server
/// is gone by then.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    fn mount() -> SmallDisk {
        let directory = TempDir::new().expect("a temporary directory");
        let disk = SmallDisk { directory };
        std::fs::create_dir(disk.mounted()).expect("a mount point");
        run("mount", &["-t", "tmpfs", "-o", SMALL, "tmpfs"], &disk.mounted());
        disk
    }

    fn mounted(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    fn launch(&self) -> Launch {
        Launch::new(&self.mounted().join("registry.db"), &self.directory.path().join("server.log"))
    }

    fn enlarge(&self) {
        run("mount", &["-o", &format!("remount,{ENLARGED}")], &self.mounted());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that not even a process that is still there keeps the directory from being removed. Nothing
        // is mounted when `mount` was refused, which has been said by then.
        let _ = Command::new("umount").arg("--lazy").arg(self.mounted()).output();
    }
}

fn run(command: &str, arguments: &[&str], directory: &Path) {
    let output = Command::new(command).args(arguments).arg(directory).output().expect("mount, of util-linux");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test mounts a tmpfs, for which it must be root with CAP_SYS_ADMIN: {said}");
}
