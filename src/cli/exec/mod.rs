//! `plugin-registry exec`: runs a command, and lets the registry know what it holds.
//!
//! ```text
//! wrapper (this command): forwards signals, stops and ends as the command does
//!    └─ monitor: a session of its own; registers, holds the lease, reports process ids
//!         └─ supervisor: starts the command and waits for it; the orphans of its processes become the supervisor's
//!              └─ starter: dies with the supervisor ─ execve ─▶ the command
//! ```
//!
//! A command behaves under `exec` as without it. It runs in the session and the process group of `exec`, so the
//! terminal, the shell's job control and pipelines work. It has the signal dispositions that `exec` inherited: no
//! process on the way installs a handler, see [`signals`].
//!
//! There are four processes of the same program, because each covers the death of others. Each of the first three is a
//! subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)), so processes that the command leaves behind cannot hide in another
//! session.
//!
//! | killed | what ends the rest |
//! |---|---|
//! | wrapper; wrapper and monitor | the supervisor, which reads the end of its [`control_socket`] |
//! | monitor | the supervisor |
//! | supervisor; wrapper and supervisor | the kernel kills the command (PR_SET_PDEATHSIG), and the monitor ends the
//! rest |
//! | monitor and supervisor | the kernel kills the command, and the wrapper ends the rest |
//! | all three at once | the kernel kills the command; daemons that it started keep running |
//!
//! The kernel wakes a stopped process (SIGSTOP) when its parent dies; the other processes wake it when they need it.
//!
//! | file | idea |
//! |---|---|
//! | [`wrapper`], [`monitor`], [`supervisor`], [`start`] | the four processes |
//! | [`control_socket`] | their messages to each other |
//! | [`signals`] | reads signals without handling them |
//! | [`inherited_files`], [`notify_socket`] | the command's files, and its messages to systemd |
//! | [`reporter`] | requests to the registry; repeats them while it is down |
//! | [`stop_requests`] | requests to stop the command |
//! | [`spool`] | keeps the ends that could not be reported |
//! | [`descendants`], [`reap`] | finds all descendants, and ends them |

pub mod control_socket;
pub mod descendants;
pub mod inherited_files;
pub mod monitor;
pub mod notify_socket;
pub mod reap;
pub mod reporter;
pub mod signals;
pub mod spool;
pub mod start;
pub mod stop_requests;
pub mod supervisor;
pub mod wrapper;

use std::ffi::{CStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use self::control_socket::Ending;
use self::inherited_files::InheritedFiles;
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
    /// The name of this host for agents; the default is the machine's name.
    #[arg(long, env = "PLUGIN_REGISTRY_HOST", value_name = "NAME")]
    pub host: Option<String>,
    /// How long the lease lasts without a renewal, 5 to 3600 seconds. Less finds out sooner that this process has
    /// died, and asks the registry more often.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(5..=3600))]
    pub ttl: u32,
    /// How long processes that the command leaves behind may take to end, in seconds, before they are killed.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub grace: u64,
    /// Which processes receive a signal that `exec` receives.
    #[arg(long, default_value = "command", value_name = "TARGET")]
    pub signal: SignalTarget,
    /// Keep running when a client asks to stop the plugin. Otherwise the command then gets SIGTERM.
    #[arg(long)]
    pub ignore_stop_requests: bool,
    /// Keep PLUGIN_REGISTRY_TOKEN in the environment of the command.
    #[arg(long)]
    pub pass_token: bool,
    /// How long to try, in seconds, to report the end to a registry that is down.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub report_patience: u64,
    /// The folder that keeps the end if it cannot be reported: the next `exec` or the agent reports it. Default:
    /// plugin-registry/unreported in $XDG_STATE_HOME or ~/.local/state.
    #[arg(long, env = "PLUGIN_REGISTRY_UNREPORTED", value_name = "FOLDER")]
    pub unreported: Option<PathBuf>,
    /// The least important lines to log, to standard error: error, warn, info, debug or trace.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_LEVEL", default_value = "warn", value_name = "LEVEL")]
    pub log_level: String,
    /// The flags for traces.
    #[command(flatten)]
    pub traces: TraceArgs,
    /// The command, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The exit code when it is `exec` itself that has failed, as with env(1) and timeout(1).
pub const OWN_FAILURE: u8 = 125;

/// The ending after a failure of `exec` itself.
const OWN_FAILURE_ENDING: Ending = Ending { code: OWN_FAILURE, signal: 0, left_behind: 0, still_there: 0 };

/// The exit codes for a command that exists but cannot run, and for one that does not exist, as in a shell.
pub const CANNOT_RUN: u8 = 126;
/// See [`CANNOT_RUN`].
pub const NOT_FOUND: u8 = 127;

/// Which processes receive a signal that `exec` receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignalTarget {
    /// Only the command, as without `exec`.
    Command,
    /// The command, and its descendants in its process group.
    Group,
}

impl SignalTarget {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            SignalTarget::Command => "command",
            SignalTarget::Group => "group",
        }
    }
}

/// Runs the command of `args`. Ends by the exit code or the signal of the command, or by [`OWN_FAILURE`] if the command
/// could not run.
pub fn run(args: &ExecArgs) -> ExitCode {
    let ending = wrap(args).unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        OWN_FAILURE_ENDING
    });
    if ending.signal != 0 {
        signals::die_by(ending.signal);
    }
    ExitCode::from(ending.code)
}

/// As [`run`]. The log is written before this returns.
fn wrap(args: &ExecArgs) -> anyhow::Result<Ending> {
    // This comes before the first thread, so that early signals reach the command.
    let blocked = signals::block().context("cannot block signals")?;
    let inherited = InheritedFiles::find();
    let (_log, _level) = logging::start(LogFormat::Text, &args.log_level)?;
    wrapper::run(args, blocked, inherited)
}

/// This program, even if its file was replaced meanwhile. Its name keeps `pkill plugin-registry` away from it, which is
/// meant for the wrapper.
fn own_program(name: &str) -> Command {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        let mut program = Command::new(running);
        program.arg0(name);
        return program;
    }
    // Without /proc, this uses the name under which the shell found the program.
    Command::new(std::env::args_os().next().unwrap_or_else(|| "plugin-registry".into()))
}

/// Sets the name that ps(1) shows, without a path.
fn set_process_name(name: &CStr) {
    let _ignored = nix::sys::prctl::set_name(name);
}

fn complain(what: &str) {
    #[expect(clippy::print_stderr, reason = "there may be no log; a shell prints the same here")]
    {
        eprintln!("plugin-registry exec: {what}");
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
