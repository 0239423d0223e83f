//! The spans of a command in its request's trace: the wait for the writer, and the commit of its batch.
//!
//! A batch has its own trace, because it has one parent for each of its requests. Each request's `registry.commit` has
//! a link to the batch, and the batch has a link to each of them.

use std::time::Duration;

use crate::telemetry::{ActiveSpan, KeyValue, SpanKind, Trace};
use domain::Revision;

/// The current span of a command.
pub(super) struct CommandTrace {
    /// The trace of the request.
    pub trace: Trace,
    /// The current span, if the trace is recorded.
    span: Option<ActiveSpan>,
}

impl CommandTrace {
    /// The span of a command that enters the queue; `None` if its request has no trace.
    pub fn queued() -> Option<CommandTrace> {
        let trace = Trace::current()?;
        let span = trace.span("registry.queue", SpanKind::Internal);
        Some(CommandTrace { trace, span })
    }

    /// The writer has taken the command.
    pub fn taken(&mut self) {
        if self.span.take().is_some() {
            self.span = self.trace.span("registry.commit", SpanKind::Internal);
        }
    }
}

/// The attributes of a batch's span.
pub(super) struct BatchSummary {
    /// The number of commands.
    pub commands: usize,
    /// The duration, from taking the store's lock.
    pub took: Duration,
    /// The newest revision after it.
    pub revision: Revision,
    /// The reason of the failure, if the batch was not written.
    pub failure: Option<&'static str>,
}

/// Ends the commit spans of a batch, and records the batch itself if its trace is recorded.
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
