//! The starter: what has to be done between fork and execve, done by a process of its own.
//!
//! In the place of a hook that runs in the forked child, which no safe code can be.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Args;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};

use super::signals::Blocked;
use super::{CANNOT_RUN, NOT_FOUND, OWN_FAILURE, complain};

/// Variables in which systemd addresses a process by its id. systemd knows the wrapper only.
const ADDRESSED: [&str; 3] = ["LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"];

/// The same by the inode of a pidfd (sd_listen_fds(3)). They are optional.
const ADDRESSED_BY_PIDFD: [&str; 2] = ["LISTEN_PIDFDID", "WATCHDOG_PIDFDID"];

/// The flags that the supervisor gives to the starter.
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// Which process must still be the parent.
    #[arg(long)]
    supervisor: i32,
    /// The process that the user has started.
    #[arg(long)]
    wrapper: u32,
    /// The signals that it was started with as blocked.
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
        complain(&format!("the command could not be prepared: {error}"));
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
    // The supervisor may have died before that.
    if getppid() != Pid::from_raw(args.supervisor) {
        return Err(io::Error::other("the supervisor has died"));
    }
    // Last: until now, this process is one of ours.
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
    // It gives SIGPIPE its default back, which Rust has taken away, and keeps what is blocked and ignored.
    command.exec()
}

/// What has to change in the environment so that it speaks of this process; `None` for what is removed.
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
