//! The task that looks whether a budget has reached a threshold. What it finds becomes a change, so that
//! watchers and webhooks learn of it; the rules see to it that each threshold is told once a period.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::books::Books;
use super::budget::Account;
use super::money::{MicroUsd, Spend};
use super::version::{Extent, Window, rate_of, spend};
use crate::registry::command::{Command, Request, SubmitError};
use crate::registry::document::Record;
use crate::registry::handle::Registry;
use crate::registry::index::IndexKey;
use crate::registry::state::State;

/// How often budgets are looked at. More often costs a look at everything that a provider may be charging for; less
/// often tells of a threshold later.
pub const LOOK: Duration = Duration::from_secs(15);

/// The task, which runs until it is stopped.
#[derive(Debug)]
pub struct Watchman {
    stop: CancellationToken,
    task: TaskTracker,
}

impl Watchman {
    /// Looks at the budgets of a registry again and again, with a pause in between. Call it within a runtime.
    pub fn start(registry: Registry, pause: Duration) -> Watchman {
        let (stop, task) = (CancellationToken::new(), TaskTracker::new());
        let stopped = stop.clone();
        task.spawn(async move { stopped.run_until_cancelled(look_again_and_again(registry, pause)).await });
        task.close();
        Watchman { stop, task }
    }

    /// Stops the task, and returns when it has ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.task.wait().await;
    }
}

async fn look_again_and_again(registry: Registry, pause: Duration) {
    let mut rounds = tokio::time::interval(pause);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        rounds.tick().await;
        match registry.look_at_budgets().await {
            Ok(told) => {
                if told > 0 {
                    info!(budget.thresholds = told, "budgets have reached thresholds");
                }
                is_failing = false;
            }
            // One line for each turn for the worse: the next look finds the same again.
            Err(error) if !is_failing => {
                warn!(%error, "a budget's threshold could not be written down; it is tried again");
                is_failing = true;
            }
            Err(_) => {}
        }
    }
}

impl Registry {
    /// Makes a change of every threshold that was reached and that nobody has told of; returns how many there were.
    ///
    /// # Errors
    ///
    /// When a change could not be made.
    pub async fn look_at_budgets(&self) -> Result<usize, SubmitError> {
        let snapshot = self.snapshot();
        if snapshot.state.books().budgets().is_empty() {
            return Ok(0);
        }
        let now = self.now();
        // It may look at very many plugins.
        let found = tokio::task::spawn_blocking(move || {
            let state = &snapshot.state;
            let mut found = Vec::new();
            for (id, account) in state.books().budgets() {
                for reached in account.to_tell(state.spent(account, now), now) {
                    found.push(Command::ReachBudget { id: id.clone(), reached: Box::new(reached) });
                }
            }
            found
        });
        let found = found.await.map_err(|_| SubmitError::WriterFailed)?;
        let number = found.len();
        for command in found {
            self.submit(Request::plain(command)).await?;
        }
        Ok(number)
    }
}

impl State {
    /// The books: what has been spent by what has ended.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// What a plugin that stands has cost in all, up to `now`, its earlier lives included.
    pub fn accrued(&self, record: &Record, now: Timestamp) -> Spend {
        let closed = self.books.meters().get(&record.plugin.key()).map(|meter| meter.closed).unwrap_or_default();
        closed + spend(record, Extent::of(record, None, now), Window::until(now))
    }

    /// What counts for a budget in the period of `now`.
    pub fn spent(&self, account: &Account, now: Timestamp) -> Spend {
        let window = Window { from: account.counts_from(now), to: now };
        let standing = self.counting(account).map(|record| spend(record, Extent::of(record, None, now), window));
        standing.fold(account.closed(now), |sum, spent| sum + spent)
    }

    /// What an hour costs now of what counts for a budget.
    pub fn burn(&self, account: &Account) -> MicroUsd {
        self.counting(account).filter_map(|record| rate_of(&record.plugin)).map(super::money::Rate::hourly).sum()
    }

    fn counting(&self, account: &Account) -> impl Iterator<Item = &Arc<Record>> {
        let billable = self.having(&IndexKey::Billable).into_iter().flat_map(|records| records.values());
        billable.filter(|record| account.counts(record))
    }
}
