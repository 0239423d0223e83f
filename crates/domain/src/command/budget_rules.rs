//! The rules for budgets.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::decision::Decision;
use super::refusal::Refusal;
use crate::change::Event;
use crate::cost::budget::MAX_BUDGETS;
use crate::cost::{Account, Budget, BudgetEvent, Notice};
use crate::revision::Revision;
use crate::state::State;

/// Creates or replaces a budget.
pub(super) fn save(state: &State, id: &str, budget: &Budget) -> Result<Decision, Refusal> {
    match account(state, id) {
        Ok(account) if account.budget == *budget => return Ok(Decision::nothing(None)),
        Err(_) if state.ledger().budgets().size() >= MAX_BUDGETS => return Err(Refusal::TooManyBudgets),
        Ok(_) | Err(_) => {}
    }
    Ok(event(id, BudgetEvent::Saved(Arc::new(budget.clone()))))
}

/// Changes some fields of a budget.
pub(super) fn patch(state: &State, id: &str, patch: &Map<String, Value>) -> Result<Decision, Refusal> {
    let current = &account(state, id)?.budget;
    let budget = current.patched(patch)?;
    if budget == *current {
        return Ok(Decision::nothing(None));
    }
    Ok(event(id, BudgetEvent::Saved(Arc::new(budget))))
}

/// Removes a budget.
pub(super) fn remove(state: &State, id: &str) -> Result<Decision, Refusal> {
    account(state, id)?;
    Ok(event(id, BudgetEvent::Removed))
}

/// Reports something about a budget. Another process may have reported it, or an admin may have changed the budget. Then
/// there is no event.
pub(super) fn tell(state: &State, id: &str, notice: &Notice, burn_told: Revision) -> Decision {
    if account(state, id).is_ok_and(|account| account.is_news(notice, burn_told)) {
        return event(id, BudgetEvent::Told(Box::new(notice.clone())));
    }
    Decision::nothing(None)
}

fn account<'a>(state: &'a State, id: &str) -> Result<&'a Account, Refusal> {
    let account = state.ledger().budgets().get(id);
    account.map(|account| &**account).ok_or_else(|| Refusal::NoBudget(id.chars().take(64).collect::<String>().into()))
}

fn event(id: &str, event: BudgetEvent) -> Decision {
    Decision::one(Event::Budget { id: id.into(), event }, None)
}
