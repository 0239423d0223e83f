//! The starter: what has to be done between fork and execve, done by a process of its own.
//!
//! In the place of a hook that runs in the forked child, which no safe code can be.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Args;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal, setpgid, setsid};

use super::terminal::{Terminal, give_to};
use super::{CANNOT_RUN, NOT_FOUND, OWN_FAILURE};

/// What the guard says to the starter.
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// Who must still be the parent.
    #[arg(long)]
    guard: i32,
    #[arg(long)]
    terminal: Terminal,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the command; returns only when that fails.
pub fn become_command(args: &StartArgs) -> ExitCode {
    let Some((program, rest)) = args.command.split_first() else { return ExitCode::from(OWN_FAILURE) };
    if let Err(error) = prepare(args) {
        complain(&format!("the command could not be given a place of its own: {error}"));
        return ExitCode::from(OWN_FAILURE);
    }
    let error = Command::new(program).args(rest).exec();
    complain(&format!("{}: {error}", program.display()));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN })
}

fn prepare(args: &StartArgs) -> io::Result<()> {
    if args.terminal == Terminal::None {
        setsid()?;
    } else {
        setpgid(None, None)?;
        if args.terminal == Terminal::Foreground {
            give_to(getpid())?;
        }
    }
    // It stays over execve, unless the command is set-user-ID (PR_SET_PDEATHSIG(2const)).
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The guard may have died before that.
    if getppid() != Pid::from_raw(args.guard) {
        return Err(io::Error::other("the guard has died"));
    }
    Ok(())
}

fn complain(what: &str) {
    #[expect(clippy::print_stderr, reason = "this process has no log; a shell would say the same here")]
    {
        eprintln!("plugin-registry exec: {what}");
    }
}
