//! The starter: the steps between fork and execve, in a process of their own.
//!
//! It replaces a hook in the forked child, which safe code cannot run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Args;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};

use super::signals::Blocked;
use super::{CANNOT_RUN, NOT_FOUND, OWN_FAILURE, complain};

/// Variables by which systemd addresses a process id. systemd knows only the wrapper.
const ADDRESSED: [&str; 3] = ["LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"];

/// As [`ADDRESSED`], by the inode of a pidfd (sd_listen_fds(3)). They are optional.
const ADDRESSED_BY_PIDFD: [&str; 2] = ["LISTEN_PIDFDID", "WATCHDOG_PIDFDID"];

/// The flags that the supervisor passes to the starter.
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// The process that must still be the parent.
    #[arg(long)]
    supervisor: i32,
    /// The process that the user started.
    #[arg(long)]
    wrapper: u32,
    /// The signals that were blocked when the wrapper started.
    #[arg(long, default_value = "")]
    blocked: Blocked,
    /// Stop (SIGSTOP) until the supervisor can receive the exit status of this process.
    #[arg(long)]
    wait: bool,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the command; returns only when that fails.
pub fn become_command(args: &StartArgs) -> ExitCode {
    let Some((program, rest)) = args.command.split_first() else { return ExitCode::from(OWN_FAILURE) };
    if let Err(error) = prepare(args) {
        complain(&format!("cannot prepare the command: {error}"));
        return ExitCode::from(OWN_FAILURE);
    }
    let error = execute(program, rest, args.wrapper);
    complain(&format!("{}: {error}", program.display()));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN })
}

fn prepare(args: &StartArgs) -> io::Result<()> {
    if args.wait {
        kill_process(getpid(), Signal::STOP)?;
    }
    // It stays over execve, unless the command is set-user-ID (PR_SET_PDEATHSIG(2const)).
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The supervisor may have died before prctl(2).
    if getppid() != Pid::from_raw(args.supervisor) {
        return Err(io::Error::other("the supervisor died"));
    }
    // This comes last, because until now this process blocks signals like the others of `exec`.
    args.blocked.restore()
}

fn execute(program: &OsStr, rest: &[OsString], wrapper: u32) -> io::Error {
    let mut command = Command::new(program);
    command.args(rest);
    for (name, value) in readdressed(wrapper) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // `exec` restores the default of SIGPIPE, which Rust ignores, and keeps blocked and ignored signals.
    command.exec()
}

/// The changes after which the environment addresses this process; `None` for a variable to remove.
fn readdressed(wrapper: u32) -> Vec<(&'static str, Option<String>)> {
    let wrapper = wrapper.to_string();
    let is_addressed = |name: &&str| std::env::var_os(name).is_some_and(|pid| *pid == *wrapper);
    let found: Vec<&str> = ADDRESSED.into_iter().filter(is_addressed).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let own = std::process::id().to_string();
    let changed = found.into_iter().map(|name| (name, Some(own.clone())));
    changed.chain(ADDRESSED_BY_PIDFD.into_iter().map(|name| (name, None))).collect()
}
