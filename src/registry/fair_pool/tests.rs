//! What the pool promises, with work that never ends.

use super::schedule::SHARING;
use super::threads::{SLICE, STEP};
use super::*;
use domain::query::Pace as _;

fn named(name: &str) -> WorkCaller {
    WorkCaller::Named(name.into())
}

/// Work that goes on until it is stopped.
fn endless(turn: &Turn<'_>) -> Result<(), Stopped> {
    loop {
        turn.step(STEP)?;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn work_whose_caller_has_left_stops() {
    let pool = Arc::new(FairPool::with("scan", 1, 8));
    let run = |pool: Arc<FairPool>| tokio::spawn(async move { pool.run(named("a"), endless).await });
    let (running, waiting) = (run(Arc::clone(&pool)), run(Arc::clone(&pool)));
    until("both have come", || pool.counts() == WorkCounts { waiting: 1, begun: 1, ..WorkCounts::default() }).await;
    waiting.abort();
    until("waiting work leaves the queue", || pool.counts().waiting == 0).await;
    running.abort();
    until("running work stops", || pool.counts() == WorkCounts { stopped: 2, ..WorkCounts::default() }).await;
    assert_eq!(pool.run(named("a"), |_| Ok(7)).await, Ok(7));
}

#[tokio::test]
async fn one_caller_does_not_keep_others_waiting_for_its_end() {
    let pool = Arc::new(FairPool::with("scan", 1, 64));
    let greedy: Vec<_> = (0..20)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.run(named("greedy"), endless).await })
        })
        .collect();
    until("all have come", || pool.counts().waiting == 19).await;
    assert_eq!(pool.counts().begun, 1, "one caller's work does not take turns with itself");
    // This would wait for ever behind work that never ends.
    assert_eq!(pool.run(named("modest"), |turn| turn.step(STEP).map(|()| 1)).await, Ok(1));
    greedy.iter().for_each(tokio::task::JoinHandle::abort);
    until("all have stopped", || pool.counts().begun == 0).await;
}

#[tokio::test]
async fn the_greediest_caller_pays_for_a_full_queue() {
    let pool = Arc::new(FairPool::with("scan", 1, 3));
    let send = |name: &str| {
        let (pool, caller) = (Arc::clone(&pool), named(name));
        tokio::spawn(async move { pool.run(caller, endless).await })
    };
    let running = send("greedy");
    until("it runs", || pool.counts().begun == 1).await;
    let waiting = [send("greedy"), send("greedy"), send("greedy")];
    until("the queue is full", || pool.counts().waiting == 3).await;
    assert_eq!(send("greedy").await.unwrap(), Err(WorkError::Full), "the newest of the greediest");
    let other = send("modest");
    until("another caller finds room", || pool.counts().refused == 2).await;
    let [_, _, last] = waiting;
    assert_eq!(last.await.unwrap(), Err(WorkError::Full));
    assert!(!other.is_finished());
    running.abort();
}

#[tokio::test]
async fn only_some_work_begins_so_that_some_ends() {
    let pool = Arc::new(FairPool::with("scan", 2, 64));
    for caller in 0..20 {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.run(named(&caller.to_string()), endless).await });
    }
    let all = WorkCounts { waiting: 18 - SHARING, begun: 2 + SHARING, ..WorkCounts::default() };
    until("the places are taken", || pool.counts() == all).await;
    // Some turns later, no more work has begun.
    tokio::time::sleep(SLICE * 5).await;
    assert_eq!(pool.counts(), all);
    pool.close();
    assert_eq!(pool.counts().begun, 0);
    assert_eq!(pool.run(named("late"), |_| Ok(())).await, Err(WorkError::Failed));
}

#[tokio::test]
async fn a_panic_takes_no_turn_away() {
    let pool = FairPool::with("scan", 1, 8);
    for _ in 0..3 {
        let panics = |_: &Turn<'_>| -> Result<(), Stopped> { panic!("planted") };
        assert_eq!(pool.run(named("a"), panics).await, Err(WorkError::Failed));
    }
    assert_eq!(pool.run(named("a"), |_| Ok(1)).await, Ok(1));
}

#[tokio::test]
async fn work_goes_on_where_it_was_after_the_turns_of_others() {
    let pool = Arc::new(FairPool::with("scan", 1, 8));
    let order = Arc::new(Mutex::new(Vec::new()));
    let long = |name: &'static str| {
        let (pool, order) = (Arc::clone(&pool), Arc::clone(&order));
        tokio::spawn(async move {
            let work = move |turn: &Turn<'_>| {
                loop {
                    let mut order = order.lock().unwrap();
                    if order.last() != Some(&name) {
                        order.push(name);
                    }
                    if order.len() > 6 {
                        return Ok(());
                    }
                    drop(order);
                    turn.step(STEP)?;
                }
            };
            pool.run(named(name), work).await
        })
    };
    let (one, two) = (long("one"), long("two"));
    // Each of them ends only if the other one has had several turns in between.
    let ended = async { (one.await.unwrap(), two.await.unwrap()) };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    assert_eq!(ended, Ok((Ok(()), Ok(()))));
}
