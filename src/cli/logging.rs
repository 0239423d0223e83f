//! How the log is formatted, text or JSON lines, and which lines are left out.

use anyhow::Context as _;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::log_writer::{LogThread, LogWriter};

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Begins to write the log, to standard error. It ends with what is returned.
///
/// # Errors
///
/// When `level` is not a level and not a filter, or the system has no thread for us.
pub fn start(format: LogFormat, level: &str) -> anyhow::Result<LogThread> {
    let filter = EnvFilter::try_new(level)
        .with_context(|| format!("`{level}` is no log level: error, warn, info, debug or trace"))?;
    let (writer, thread) = LogWriter::start().context("the log has no thread")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
    Ok(thread)
}
