//! A thousand watchers of a real server, thousands of changes, watchers that break off and come back, and a kill -9 in
//! the middle: every watcher sees every change that it asked for once, and in order.
//!
//! | file | what it is |
//! |---|---|
//! | [`service`] | the real binary, killed and started again on one address |
//! | [`watcher`] | one watcher, which comes back with `Last-Event-ID` as often as it takes |
//! | [`writer`] | the changes, and what the journal says of them in the end |
//!
//! The same run, smaller, finds a planted bug, where `--features planted-bugs` builds the server with it.
//!
//! `WATCHERS_SCALE` says how much is run, in percent: 100, as in CI, is 1,000 watchers and 20,000 changes. A binary of its own, so
//! that no other test takes the processor away meanwhile.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is a test, which fails by panicking and tells what it has measured"
)]

mod service;
mod watcher;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::service::Service;
use self::watcher::{Filter, Watcher};

/// How many watchers and changes there are at 100 percent.
const WATCHERS: usize = 1_000;
const CHANGES: u64 = 20_000;

/// How long the watchers may take to catch up once all is written.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a run amounted to.
struct Figures {
    watchers: usize,
    changes: u64,
    resumes: u64,
    turned_away: u64,
    seen: usize,
    took: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { watchers, changes, resumes, turned_away, seen, took } = self;
        write!(f, "{watchers} watchers of {changes} changes saw {seen} events in {took:?}; ")?;
        write!(f, "they came back {resumes} times, and were turned away {turned_away} times")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_watcher_sees_every_change_once_and_in_order() {
    let scale = std::env::var("WATCHERS_SCALE").map_or(30, |percent| percent.parse().expect("a number of percent"));
    match run(Service::start(None).await, scale).await {
        Ok(figures) => {
            println!("{figures}");
            assert!(figures.resumes >= 2 * figures.watchers as u64, "too few have broken off: {figures}");
        }
        Err(missed) => panic!("{missed}"),
    }
}

/// A topic that claims to hold what was filed before anybody followed it.
#[cfg(feature = "planted-bugs")]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_between_the_snapshot_and_the_subscription_is_missed_by_the_planted_bug() {
    let service = Service::start(Some("subscribe-after-snapshot")).await;
    match run(service, 10).await {
        Ok(figures) => panic!("the bug was not noticed: {figures}"),
        Err(missed) => println!("the bug was found: {missed}"),
    }
}

/// Lets watchers watch while changes are made and the service is killed in the middle.
async fn run(service: Service, scale: u64) -> Result<Figures, String> {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("the limit of open files can be raised");

    let began = Instant::now();
    let number = (WATCHERS as u64 * scale / 100) as usize;
    let changes = CHANGES * scale / 100;
    let (progress, written) = watch::channel(0);
    let (told, truth) = watch::channel(None);
    let mut watching = JoinSet::new();
    for n in 0..number {
        let watcher = Watcher::new(n, service.address(), written.clone(), truth.clone());
        watching.spawn(watcher.run());
    }
    let writing = tokio::spawn(writer::write(service.address(), changes, progress));
    service.kill_at(changes / 2, written).await;
    println!("killed and started again after {:?}", began.elapsed());
    let head = writing.await.expect("the writer lives");
    println!("{head} changes are written after {:?}", began.elapsed());
    told.send_replace(Some(Arc::new(writer::truth(&service.store()))));

    let mut figures =
        Figures { watchers: number, changes: head, resumes: 0, turned_away: 0, seen: 0, took: Duration::ZERO };
    let ended = async {
        while let Some(watched) = watching.join_next().await {
            let watched = watched.expect("the watcher lives")?;
            figures.resumes += watched.resumes;
            figures.turned_away += watched.turned_away;
            figures.seen += watched.seen;
        }
        Ok(())
    };
    timeout(PATIENCE, ended).await.unwrap_or_else(|_| Err("a watcher does not come to an end".to_owned()))?;
    figures.took = began.elapsed();
    Ok(figures)
}

/// What is asked of by nobody in particular: the filters, spread over the watchers.
fn filter_of(watcher: usize) -> Filter {
    let category = watcher % writer::CATEGORIES;
    match watcher % 100 {
        0 => Filter::Everything,
        1..40 => Filter::Category(category),
        40..70 => Filter::Label(category),
        70..90 => Filter::LocalOfCategory(category),
        _ => Filter::Plugin(category, watcher % writer::PLUGINS_OF_EACH),
    }
}
