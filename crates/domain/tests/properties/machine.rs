//! The domain without a runtime, a clock or a store: commands in, changes and states out.

use jiff::Timestamp;

use domain::change::Change;
use domain::command::decide::decide;
use domain::command::schema_question::CheckedSchema;
use domain::command::{Command, Decision, Refusal, Request};
use domain::{Revision, State, StoreId};

/// A state, and the changes that led to it.
pub(crate) struct Machine {
    pub(crate) store: StoreId,
    pub(crate) state: State,
    pub(crate) changes: Vec<Change>,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        Machine {
            store: StoreId::kept("0123456789abcdef0123456789abcdef"),
            state: State::default(),
            changes: Vec::new(),
        }
    }

    /// Decides a request as the writer does; checks the schema as often as needed.
    pub(crate) fn decide(&self, request: &Request) -> Result<Decision, Refusal> {
        let mut checked: Option<CheckedSchema> = None;
        loop {
            match decide(&self.state, &self.store, request, checked.as_ref()) {
                Err(Refusal::NotChecked(question)) => {
                    assert!(checked.is_none(), "the same question is asked twice");
                    checked = Some(question.answer()?);
                }
                decision => return decision,
            }
        }
    }

    /// Decides a request, and applies the resulting changes; returns whether there was one.
    pub(crate) fn submit(&mut self, request: &Request) -> Result<bool, Refusal> {
        let decision = self.decide(request)?;
        let changed = !decision.events.is_empty();
        // The changes of one command have one time.
        let at = time_of(self.state.revision().next());
        for event in decision.events {
            let revision = self.state.revision().next();
            let principal = request.principal.as_ref().map(|principal| principal.name.clone());
            let (request_id, reason) = (request.request_id.clone(), request.reason.clone());
            let change = Change { revision, at, request_id, principal, reason, event };
            self.state.apply(&change);
            self.changes.push(change);
        }
        Ok(changed)
    }

    /// Does a command that must succeed.
    #[track_caller]
    pub(crate) fn done(&mut self, command: Command) {
        self.submit(&Request::plain(command)).expect("the rules allow this");
    }
}

/// A time for each revision; some revisions share a time.
fn time_of(revision: Revision) -> Timestamp {
    let seconds = i64::try_from(revision.0 / 2).expect("few revisions");
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}
