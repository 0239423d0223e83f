//! The format of the log, text or JSON lines, and the level that is logged.

use std::fmt;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::log_fields::TextFields;
use super::log_writer::{LogThread, LogWriter};
use super::settings;
use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::LogLevel;

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// Starts the log on standard error. It runs as long as the returned thread; the returned level can change.
///
/// # Errors
///
/// If `level` is invalid, or the system cannot start a thread.
pub fn start(format: LogFormat, level: &str) -> anyhow::Result<(LogThread, LogLevel)> {
    let (filter, level) = LogLevel::layer(level)?;
    let (writer, thread) = LogWriter::start().context("cannot start the log thread")?;
    let lines = tracing_subscriber::fmt::layer().with_timer(Time).with_writer(writer).with_target(false);
    let log = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text if std::io::stderr().is_terminal() => log.with(lines).init(),
        LogFormat::Text => log.with(lines.with_ansi(false).fmt_fields(TextFields)).init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true).with_span_list(false)).init(),
    }
    for warning in settings::warnings() {
        warn!("{warning}");
    }
    Ok((thread, level))
}

/// The time of a line, to the microsecond (RFC 3339, UTC).
struct Time;

impl FormatTime for Time {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        write!(line, "{:.6}", SystemClock.now())
    }
}
