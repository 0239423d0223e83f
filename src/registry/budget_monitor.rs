//! The task that checks whether a budget has reached a threshold or will reach its limit, and whether its burn crossed the
//! limit of an hour. Each finding becomes a change, so that watchers and webhooks receive it. The rules record each
//! threshold and each projection once a period, and each crossing once.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::registry::handle::Registry;
use crate::registry::submit_error::SubmitError;
use domain::command::{Command, Request};
use domain::query::Unpaced;

/// How often budgets are checked. Each check visits all billable plugins; a longer interval reports a threshold later.
pub const LOOK: Duration = Duration::from_secs(15);

/// The task, which runs until `stop`.
#[derive(Debug)]
pub struct BudgetMonitor {
    stop: CancellationToken,
    task: TaskTracker,
}

impl BudgetMonitor {
    /// Checks the budgets of a registry repeatedly, with a pause in between. Call this within a runtime.
    pub fn start(registry: Registry, pause: Duration) -> BudgetMonitor {
        let (stop, task) = (CancellationToken::new(), TaskTracker::new());
        let stopped = stop.clone();
        task.spawn(async move { stopped.run_until_cancelled(check_repeatedly(registry, pause)).await });
        task.close();
        BudgetMonitor { stop, task }
    }

    /// Stops the task, and returns when it has ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.task.wait().await;
    }
}

async fn check_repeatedly(registry: Registry, pause: Duration) {
    let mut rounds = tokio::time::interval(pause);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        rounds.tick().await;
        match registry.check_budgets().await {
            Ok(told) => {
                if told > 0 {
                    info!(budget.events = told, "budgets have reached thresholds, or will reach their limits");
                }
                is_failing = false;
            }
            // One line for each new failure, because every later check would log the same.
            Err(error) if !is_failing => {
                warn!(%error, "cannot record what a budget has reached; the next check retries");
                is_failing = true;
            }
            Err(_) => {}
        }
    }
}

impl Registry {
    /// Makes a change of everything that is true of a budget and has none yet; returns their number.
    ///
    /// # Errors
    ///
    /// If a change could not be made.
    pub async fn check_budgets(&self) -> Result<usize, SubmitError> {
        let snapshot = self.snapshot();
        if snapshot.state.ledger().budgets().is_empty() {
            return Ok(0);
        }
        let now = self.now();
        // A check may visit very many plugins.
        let found = tokio::task::spawn_blocking(move || {
            let state = &snapshot.state;
            let mut found = Vec::new();
            for (id, account) in state.ledger().budgets() {
                let Ok((spent, burn)) = state.spent_and_burn(account, now, &Unpaced);
                for notice in account.to_tell(spent, burn, now) {
                    let (notice, burn_told) = (Box::new(notice), account.burn_told());
                    found.push(Command::TellBudget { id: id.clone(), notice, burn_told });
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
