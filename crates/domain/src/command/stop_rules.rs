//! The rules of requests to stop a plugin.

use super::decision::Decision;
use super::refusal::Refusal;
use crate::change::{Event, HoldingAct};
use crate::record::{Record, StopAnswerTerms, StopTerms};

/// Asks to stop what a plugin holds. The same request changes nothing while it has no answer.
pub(super) fn request(current: &Record, request: &StopTerms) -> Result<Decision, Refusal> {
    let id = &current.unique_id;
    if !current.holdings.can_stop(&current.plugin) {
        return Err(Refusal::NothingToStop(id.clone()));
    }
    let pending = current.holdings.stop().and_then(|stop| stop.pending());
    if pending.is_some_and(|pending| pending.terms == *request) {
        return Ok(Decision::nothing(Some(id.clone())));
    }
    Ok(acted(current, HoldingAct::StopRequested { request: request.clone() }))
}

/// Answers the last request to stop. A later answer replaces an earlier one.
pub(super) fn answer(current: &Record, answer: &StopAnswerTerms) -> Result<Decision, Refusal> {
    let id = &current.unique_id;
    let Some(stop) = current.holdings.stop() else { return Err(Refusal::NoStopRequest(id.clone())) };
    if stop.answer.as_ref().is_some_and(|before| before.terms == *answer) {
        return Ok(Decision::nothing(Some(id.clone())));
    }
    Ok(acted(current, HoldingAct::StopAnswered { answer: answer.clone() }))
}

fn acted(current: &Record, act: HoldingAct) -> Decision {
    let id = &current.unique_id;
    Decision::one(Event::Holdings { id: id.clone(), act }, Some(id.clone()))
}
