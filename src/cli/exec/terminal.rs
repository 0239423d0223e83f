//! Whose terminal it is: what reads from the keyboard, and is interrupted by it, is one process group.

use std::io;
use std::os::fd::AsFd;

use clap::ValueEnum;
use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Pid, getpgrp};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// How the wrapper stands to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Terminal {
    /// It has none, or its input comes from elsewhere: the command gets a session of its own.
    None,
    /// It has the terminal, and lends it to the command, which gets a process group of its own.
    Foreground,
    /// Others have the terminal: the shell has started it in the background.
    Background,
}

impl Terminal {
    /// How this process stands to the terminal of its standard input.
    pub fn of_this_process() -> Terminal {
        // It fails when the input is no terminal, or not the one that controls this session (tcgetpgrp(3)).
        match tcgetpgrp(io::stdin()) {
            Ok(group) if group == getpgrp() => Terminal::Foreground,
            Ok(_) => Terminal::Background,
            Err(_) => Terminal::None,
        }
    }

    /// The word for the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Terminal::None => "none",
            Terminal::Foreground => "foreground",
            Terminal::Background => "background",
        }
    }
}

/// Gives the terminal of standard input to a process group of this session.
///
/// # Errors
///
/// When there is no terminal any more.
pub fn give_to(group: Pid) -> io::Result<()> {
    // A process in the background that does this is stopped by SIGTTOU, unless it has blocked it (tcsetpgrp(3)).
    let mut wall = SigSet::empty();
    wall.add(Signal::SIGTTOU);
    wall.thread_block()?;
    let given = tcsetpgrp(io::stdin().as_fd(), group);
    wall.thread_unblock()?;
    Ok(given?)
}

/// Gives the terminal to `to` if and only if `from` has it now.
pub fn pass(from: Pid, to: Pid) {
    if tcgetpgrp(io::stdin()).is_ok_and(|owner| owner == from) {
        // A terminal that was closed belongs to nobody.
        drop(give_to(to));
    }
}
