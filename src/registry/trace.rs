//! The part that a command has in the trace of its request: how long it has waited for the writer, and the commit of the
//! batch that it was in.
//!
//! The batch has a trace of its own, because it has as many parents as there are requests in it. Each request's
//! `registry.commit` is linked to the batch, and the batch to each of them.

use std::time::Duration;

use crate::telemetry::{ActiveSpan, KeyValue, SpanKind, Trace};
use domain::Revision;

/// A command's part in a trace.
pub(super) struct CommandTrace {
    /// The trace of the request.
    pub trace: Trace,
    /// What is going on, if anybody is to be told of it.
    span: Option<ActiveSpan>,
}

impl CommandTrace {
    /// The part of a command that goes into the queue now; `None` when its request is part of no trace.
    pub fn queued() -> Option<CommandTrace> {
        let trace = Trace::current()?;
        let span = trace.span("registry.queue", SpanKind::Internal);
        Some(CommandTrace { trace, span })
    }

    /// The writer has it now.
    pub fn taken(&mut self) {
        if self.span.take().is_some() {
            self.span = self.trace.span("registry.commit", SpanKind::Internal);
        }
    }
}

/// What there is to tell of a batch.
pub(super) struct BatchSummary {
    /// How many commands were in it.
    pub commands: usize,
    /// How long it took, from taking the store's lock.
    pub took: Duration,
    /// The newest revision after it.
    pub revision: Revision,
    /// Why it was not written, if it was not.
    pub failure: Option<&'static str>,
}

/// Ends the commits of a batch, and tells of the batch itself, if anybody is to be told.
pub(super) fn record_batch<'a>(batch: impl Iterator<Item = &'a mut CommandTrace>, told: &BatchSummary) {
    let parts = batch.filter_map(|traced| Some((&traced.trace, traced.span.take()?)));
    let (traces, mut commits): (Vec<_>, Vec<_>) = parts.unzip();
    let Some(first) = traces.first() else { return };
    let links = commits.iter().map(|commit| commit.context().clone()).collect();
    let Some(mut whole) = first.traces().past("registry.batch", told.took, links) else { return };
    let count = |name, count: usize| KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX));
    whole.add([
        count("registry.batch.commands", told.commands),
        KeyValue::new("registry.revision", i64::try_from(told.revision.0).unwrap_or(i64::MAX)),
    ]);
    if let Some(why) = told.failure {
        whole.fail(why);
    }
    for commit in &mut commits {
        commit.link(whole.context().clone());
        if let Some(why) = told.failure {
            commit.fail(why);
        }
    }
}
