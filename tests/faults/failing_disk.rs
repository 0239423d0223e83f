//! A failing disk fails only the write that needed it: one operation of a fixed script after the other fails, once
//! or for good. Every reply is the right one or 503, reads go on, writes return without a restart as soon as the
//! disk works, and after a restart all that was acknowledged is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use rstest::rstest;
use rustix::io::Errno;
use tempfile::TempDir;

use crate::client::Client;
use crate::dice::Dice;
use crate::harm::{Control, Harm, Operations};
use crate::image::Documents;
use crate::observer::Observer;
use crate::restart::{check_restarted, open_copy};
use crate::server::{Launch, Server};
use crate::session::{Outcome, Session, Step};
use crate::violation::Violation;
use crate::{settings, shim};

/// Where the script starts.
#[derive(Clone, Copy, Debug)]
enum Before {
    EmptyStore,
    /// So near to the 1,000 pages at which `SQLite` makes a checkpoint that it falls into the script.
    Checkpoint,
}

/// How many writes bring the write-ahead log near a checkpoint: it takes two to put a page there.
const NEAR_CHECKPOINT: u64 = 1850;

impl Before {
    /// Every kind of write, on plugins that stand and on some that may not: which they are depends on what failed.
    fn script(self) -> [Step; 12] {
        let large = match self {
            Before::EmptyStore => 600,
            // Four commits with this content fill 100 pages, and the checkpoint is among them.
            Before::Checkpoint => 10_000,
        };
        [
            Step::Register("a", 8),
            Step::RegisterWithPids("b", 8),
            Step::PutPids("a"),
            Step::Register("b", 8),
            Step::RegisterWithPids("c", large),
            Step::Delete("b"),
            Step::PutPids("c"),
            Step::Register("b", 8),
            Step::Delete("c"),
            Step::PutPids("c"),
            Step::Register("d", 300),
            Step::RegisterWithPids("a", 8),
        ]
    }

    /// In how many places the disk is to fail. Most of a checkpoint is one page like the other, and a run takes
    /// longer.
    fn places(self) -> u64 {
        match self {
            Before::EmptyStore => settings::places(),
            Before::Checkpoint => settings::places().div_ceil(8),
        }
    }
}

#[rstest]
#[case::a_write_fails_once(Operations::Writes, Harm::Once(Errno::IO))]
#[case::writes_fail_for_good(Operations::Writes, Harm::ForGood(Errno::IO))]
#[case::no_space_once(Operations::Writes, Harm::Once(Errno::NOSPC))]
#[case::the_disk_fills_up(Operations::Writes, Harm::HalfThenForGood(Errno::NOSPC))]
#[case::a_write_is_short(Operations::Writes, Harm::HalfOnce)]
#[case::a_sync_fails_once(Operations::Syncs, Harm::Once(Errno::IO))]
#[case::syncs_fail_for_good(Operations::Syncs, Harm::ForGood(Errno::IO))]
#[case::the_disk_is_gone(Operations::Both, Harm::ForGood(Errno::IO))]
#[case::killed_in_the_middle(Operations::Both, Harm::Kill)]
#[tokio::test]
async fn a_failing_disk_fails_only_that_write(
    #[values(Before::EmptyStore, Before::Checkpoint)] before: Before,
    #[case] operations: Operations,
    #[case] harm: Harm,
) {
    let dice = Dice::new(settings::seed("failing disk"));
    match sweep(&[], before, operations, harm, dice).await {
        Ok(places) => eprintln!("failing disk: {harm:?} of {operations:?} from {before:?}, {places}"),
        Err(violation) => panic!("{violation}\nwith {harm:?} of {operations:?} from {before:?}"),
    }
}

/// The same sweep finds a server that answers, or shows, what the disk then does not take.
#[cfg(feature = "planted-bugs")]
#[rstest]
#[case::acknowledge_before_commit("acknowledge-before-commit")]
#[case::publish_before_commit("publish-before-commit")]
#[tokio::test]
async fn a_planted_bug_is_found_by_a_failing_disk(#[case] plant: &'static str) {
    let dice = Dice::new(settings::seed(plant));
    let environment = [("PLUGIN_REGISTRY_PLANT", plant)];
    match sweep(&environment, Before::EmptyStore, Operations::Writes, Harm::Once(Errno::IO), dice).await {
        Ok(places) => panic!("{plant} was not noticed: {places}"),
        Err(Violation::Harness(why)) => panic!("{plant} led to something else: {why}"),
        Err(violation) => eprintln!("{plant} was found: {violation}"),
    }
}

/// Runs the script with the harm in each of the chosen places; returns how many they were.
async fn sweep(
    environment: Environment<'_>,
    before: Before,
    operations: Operations,
    harm: Harm,
    mut dice: Dice,
) -> Result<String, Violation> {
    let place = |nth| Place { environment, before, operations, harm, nth };
    let all = place(u64::MAX).run().await?.operations;
    let places = choose(before.places(), all, &mut dice);
    let (mut harmed, mut refused) = (0, 0);
    for nth in &places {
        let outcome = place(*nth).run().await.map_err(|violation| violation.during(nth))?;
        harmed += u64::from(outcome.harmed);
        refused += outcome.refused;
    }
    // The script is the same each time, but how it is cut into batches may not be quite.
    if harmed * 10 < places.len() as u64 * 9 {
        return Err(Violation::Harness(format!("only {harmed} of {} places were reached", places.len())));
    }
    Ok(format!("{harmed} of {all} places, {refused} writes refused"))
}

/// So many of the numbers from 1 to `all`, or all of them.
fn choose(count: u64, all: u64, dice: &mut Dice) -> BTreeSet<u64> {
    if count >= all {
        return (1..=all).collect();
    }
    let mut chosen = BTreeSet::new();
    while (chosen.len() as u64) < count {
        chosen.insert(dice.below(all) + 1);
    }
    chosen
}

/// Environment variables of the server.
type Environment<'a> = &'a [(&'static str, &'a str)];

/// One run of the script.
struct Place<'a> {
    environment: Environment<'a>,
    before: Before,
    operations: Operations,
    harm: Harm,
    nth: u64,
}

#[derive(Default)]
struct Figures {
    operations: u64,
    harmed: bool,
    refused: u64,
}

impl Place<'_> {
    async fn run(&self) -> Result<Figures, Violation> {
        let run = TempDir::new_in("/dev/shm")?;
        let directory = run.path().join("store");
        std::fs::create_dir(&directory)?;
        let control = Control::create(&run.path().join("faults"))?;
        let healthy = Launch::new(&directory.join("registry.db"), &run.path().join("server.log"));
        let faulty = shim::under(healthy.clone(), &directory).with("RECORDER_FAULTS", control.path());
        let faulty = faulty.with_each(self.environment);
        let observer = Observer::new(|_news| Ok(()));
        self.run_on(&healthy, &faulty, &control, &observer)
            .await
            .map_err(|violation| violation.during(healthy.logged()))
    }

    async fn run_on(
        &self,
        healthy: &Launch,
        faulty: &Launch,
        control: &Control,
        observer: &Arc<Observer>,
    ) -> Result<Figures, Violation> {
        let server = faulty.start()?;
        let mut session = Session::new(Client::new(server.address()), observer);
        if let Before::Checkpoint = self.before {
            approach_checkpoint(&mut session, control).await?;
        }
        control.arm(self.operations, self.nth, self.harm)?;
        let refused = self.take_script(&mut session).await?;
        let figures = Figures { operations: control.seen()?, harmed: control.failed()? > 0, refused };
        control.disarm()?;
        if !(figures.harmed && matches!(self.harm, Harm::Kill)) {
            let outcome = session.take(Step::RegisterWithPids("after", 8)).await?;
            expect(Outcome::Done, outcome, "when the disk worked again")?;
        }
        end(server, self.nth)?;
        check_restart(healthy, observer, &session).await?;
        Ok(figures)
    }

    /// Takes all steps, as far as the server lives; returns how many were refused.
    async fn take_script(&self, session: &mut Session) -> Result<u64, Violation> {
        let mut refused = 0;
        for step in self.before.script() {
            match session.take(step).await? {
                Outcome::Done => {}
                Outcome::Refused => refused += 1,
                Outcome::Broken if matches!(self.harm, Harm::Kill) => return Ok(refused),
                Outcome::Broken => return Err(Violation::Server("died of a failing disk".into()).during(step)),
            }
        }
        match self.harm {
            Harm::HalfOnce | Harm::Kill if refused > 0 => {
                Err(Violation::WrongReply(format!("{refused} writes were refused without a reason")))
            }
            Harm::Once(_) if refused > 1 => Err(Violation::WrongReply(format!("one failure failed {refused} writes"))),
            _ => Ok(refused),
        }
    }
}

async fn approach_checkpoint(session: &mut Session, control: &Control) -> Result<(), Violation> {
    // No operation is the last of all: nothing fails, all are counted.
    control.arm(Operations::Writes, u64::MAX, Harm::HalfOnce)?;
    while control.seen()? < NEAR_CHECKPOINT {
        expect(Outcome::Done, session.write(Step::Register("p", 6000)).await?, "before the disk failed")?;
    }
    Ok(())
}

/// Both ways for a server to end must be fit for what comes after a failure.
fn end(server: Server, nth: u64) -> Result<(), Violation> {
    if nth.is_multiple_of(2) {
        server.kill();
        return Ok(());
    }
    match server.stop() {
        // It had been killed already, in its place.
        Err(Violation::Server(why)) if why.contains("signal: 9") => Ok(()),
        result => result,
    }
}

/// Checks that all that was acknowledged is there, and at most one change more: one that was refused, or not
/// answered, when its commit was as good as written.
async fn check_restart(launch: &Launch, observer: &Observer, session: &Session) -> Result<(), Violation> {
    let mut documents = Documents::default();
    let image = open_copy(launch.store())?;
    observer.witnesses().check(&image, &mut documents)?;
    if image.head > session.head() + 1 {
        return Err(Violation::Twice(format!(
            "the journal goes to {}, acknowledged was {}",
            image.head,
            session.head()
        )));
    }
    let server = launch.start()?;
    check_restarted(&Client::new(server.address()), &image, &mut documents).await?;
    server.stop()
}

fn expect(expected: Outcome, outcome: Outcome, when: &str) -> Result<(), Violation> {
    if outcome == expected { Ok(()) } else { Err(Violation::Server(format!("{outcome:?} a write {when}"))) }
}
