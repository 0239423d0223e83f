//! `plugin-registry exec`: runs a command, and lets the registry know what it holds.
//!
//! ```text
//! wrapper (this command): registers, holds the lease, reports process ids, forwards signals
//!    └─ guard: starts the command and waits for it; whatever the command's processes leave becomes the guard's
//!         └─ starter: own session or process group, dies with the guard ─ execve ─▶ the command
//! ```
//!
//! Three processes of the same program, because each covers the death of another. When the wrapper is
//! killed, the guard sees the end of their [`link`] and ends every descendant. When the guard is killed,
//! the kernel kills the command (PR_SET_PDEATHSIG), and the wrapper ends what is left. What the command's
//! processes leave behind can hide in no session: both are subreapers (PR_SET_CHILD_SUBREAPER, prctl(2)).
//!
//! | file | idea |
//! |---|---|
//! | [`wrapper`] | the wrapper |
//! | [`guard`], [`start`] | the other two |
//! | [`link`] | what wrapper and guard tell each other |
//! | [`reporter`] | what the registry is told, also later when it is down |
//! | [`unreported`] | what it could not be told, kept until it can |
//! | [`terminal`] | whose terminal it is |
//! | [`end`] | ending all descendants |

pub mod end;
pub mod guard;
pub mod link;
pub mod reporter;
pub mod start;
pub mod terminal;
pub mod unreported;
pub mod wrapper;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::connection::ConnectionArgs;
use super::logging::{self, LogFormat};
use super::otlp::TraceArgs;

/// The flags of `exec`.
#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    /// Which registry.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// The plugin's category.
    #[arg(long)]
    pub category: String,
    /// The plugin's name. One that is registered already keeps its description.
    #[arg(long)]
    pub name: String,
    /// Its title; without it, the name.
    #[arg(long)]
    pub title: Option<String>,
    /// A label; can be given many times.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// What agents call this host; without it, the name that the machine has.
    #[arg(long, env = "PLUGIN_REGISTRY_HOST", value_name = "NAME")]
    pub host: Option<String>,
    /// How long the lease lasts without a renewal, 5 to 3600 seconds. Less finds out sooner that this process has
    /// died, and asks the registry more often.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(5..=3600))]
    pub ttl: u32,
    /// How long processes that the command leaves behind may take to end, in seconds, before they are killed.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub grace: u64,
    /// How long to try, in seconds, to tell the registry of the end when it is down.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub report_patience: u64,
    /// Where the end is kept when the registry is down for longer: the next `exec`, or the agent, tells it. Without it,
    /// plugin-registry/unreported in $XDG_STATE_HOME or ~/.local/state.
    #[arg(long, env = "PLUGIN_REGISTRY_UNREPORTED", value_name = "FOLDER")]
    pub unreported: Option<PathBuf>,
    /// The least important lines to log, to standard error: error, warn, info, debug or trace.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_LEVEL", default_value = "warn", value_name = "LEVEL")]
    pub log_level: String,
    /// Who is told of traces.
    #[command(flatten)]
    pub traces: TraceArgs,
    /// The command, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The exit code when it is `exec` itself that has failed, as with env(1) and timeout(1).
pub const OWN_FAILURE: u8 = 125;

/// The exit codes when the command is there and cannot be run, and when it is not there, as with a shell.
pub const CANNOT_RUN: u8 = 126;
/// See [`CANNOT_RUN`].
pub const NOT_FOUND: u8 = 127;

/// Runs the command of `args`, and returns its exit code; [`OWN_FAILURE`] when it could not be run.
///
/// # Errors
///
/// Never, so far: what goes wrong is told here, because it has an exit code of its own.
pub fn run(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let (_log, _level) = logging::start(LogFormat::Text, &args.log_level)?;
    wrapper::run(args).or_else(|error| {
        tracing::error!("{error:#}");
        Ok(ExitCode::from(OWN_FAILURE))
    })
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
