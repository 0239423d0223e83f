//! The task that looks whether a budget has reached a threshold. What it finds becomes a change, so that
//! watchers and webhooks learn of it; the rules see to it that each threshold is told once a period.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::registry::handle::Registry;
use crate::registry::submit_error::SubmitError;
use domain::command::{Command, Request};

/// How often budgets are looked at. More often costs a look at everything that a provider may be charging for; less
/// often tells of a threshold later.
pub const LOOK: Duration = Duration::from_secs(15);

/// The task, which runs until it is stopped.
#[derive(Debug)]
pub struct BudgetMonitor {
    stop: CancellationToken,
    task: TaskTracker,
}

impl BudgetMonitor {
    /// Looks at the budgets of a registry again and again, with a pause in between. Call it within a runtime.
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
    pub async fn check_budgets(&self) -> Result<usize, SubmitError> {
        let snapshot = self.snapshot();
        if snapshot.state.ledger().budgets().is_empty() {
            return Ok(0);
        }
        let now = self.now();
        // It may look at very many plugins.
        let found = tokio::task::spawn_blocking(move || {
            let state = &snapshot.state;
            let mut found = Vec::new();
            for (id, account) in state.ledger().budgets() {
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
