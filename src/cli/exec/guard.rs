//! The guard: parent of the command, subreaper of all that it starts, and their end when the wrapper dies.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, set_child_subreaper, setpgid,
    setsid, wait,
};

use super::end::end_descendants;
use super::link::{Ending, ToGuard, ToWrapper};
use super::terminal::{self, Terminal};

/// What the wrapper says to the guard.
#[derive(Debug, Clone, Args)]
pub struct GuardArgs {
    /// The abstract name of the wrapper's socket.
    #[arg(long)]
    link: String,
    /// The wrapper's process group.
    #[arg(long)]
    wrapper_group: i32,
    #[arg(long)]
    terminal: Terminal,
    /// In seconds.
    #[arg(long)]
    grace: u64,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the command, and waits until it and all that it has started have ended.
///
/// # Errors
///
/// When the system does not give us what we need.
pub fn run(args: &GuardArgs) -> anyhow::Result<()> {
    // What is meant for the wrapper and its group must not end the guard.
    match args.terminal {
        Terminal::None => setsid().map(drop),
        Terminal::Foreground | Terminal::Background => setpgid(None, None),
    }
    .context("the guard has no place of its own")?;
    set_child_subreaper(Some(getpid())).context("the guard is no subreaper")?;
    let address = SocketAddr::from_abstract_name(&args.link).context("the link has no name")?;
    let link = UnixStream::connect_addr(&address).context("the wrapper does not listen")?;
    let command = start(args)?;
    tell(&link, ToWrapper::Started(command.as_raw_nonzero().get().unsigned_abs()));
    let guard = Guard {
        command,
        wrapper_group: Pid::from_raw(args.wrapper_group),
        terminal: args.terminal,
        grace: Duration::from_secs(args.grace),
    };
    let heard = link.try_clone().context("the link cannot be read")?;
    std::thread::Builder::new().name("link".into()).spawn(move || guard.listen(heard))?;
    let (code, signal) = guard.wait_for_the_command(&link)?;
    let ended = end_descendants(guard.grace);
    guard.take_the_terminal_back();
    tell(&link, ToWrapper::Ended(Ending { code, signal, left_behind: ended.found, still_there: ended.left }));
    Ok(())
}

fn start(args: &GuardArgs) -> anyhow::Result<Pid> {
    // The very program that runs, also when its file was replaced meanwhile.
    let mut starter = Command::new("/proc/self/exe");
    starter.arg0("plugin-registry").args(["exec-start", "--guard", &std::process::id().to_string()]);
    starter.args(["--terminal", args.terminal.as_str(), "--"]).args(&args.command);
    let child = starter.spawn().context("the command cannot be started")?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the command has no process id")
}

#[derive(Clone, Copy)]
struct Guard {
    command: Pid,
    wrapper_group: Option<Pid>,
    terminal: Terminal,
    grace: Duration,
}

impl Guard {
    /// Does what the wrapper says, until it has died.
    fn listen(self, link: UnixStream) {
        for line in BufReader::new(link).lines().map_while(Result::ok) {
            match ToGuard::read(&line) {
                Some(ToGuard::Signal(signal)) => self.signal(signal),
                Some(ToGuard::Continue) => self.go_on(),
                None => {}
            }
        }
        // Nobody is left who would tell the registry: its lease ends, and nothing must run on.
        end_descendants(self.grace);
        self.take_the_terminal_back();
        std::process::exit(0);
    }

    /// The command leads its process group, in a session of its own or not.
    fn signal(self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal) {
            // As long as the starter has not made its group, it is alone. One that has ended is what most signals ask for.
            let _sent = kill_process_group(self.command, signal).or_else(|_| kill_process(self.command, signal));
        }
    }

    fn go_on(self) {
        if let (Some(wrapper), true) = (self.wrapper_group, self.terminal != Terminal::None) {
            terminal::pass(wrapper, self.command);
        }
        let _sent = kill_process_group(self.command, Signal::CONT);
    }

    fn take_the_terminal_back(self) {
        if let (Some(wrapper), true) = (self.wrapper_group, self.terminal != Terminal::None) {
            terminal::pass(self.command, wrapper);
        }
    }

    /// Returns how it ended: an exit code, and the signal or 0.
    fn wait_for_the_command(self, link: &UnixStream) -> io::Result<(u8, i32)> {
        loop {
            let Some((pid, status)) = wait(WaitOptions::UNTRACED)? else { continue };
            // The others were left behind by their parents, and have ended.
            if pid == self.command {
                if status.stopped() && self.terminal != Terminal::None {
                    self.take_the_terminal_back();
                    tell(link, ToWrapper::Stopped);
                } else if let Some(end) = end_of(status) {
                    return Ok(end);
                }
            }
        }
    }
}

fn end_of(status: WaitStatus) -> Option<(u8, i32)> {
    if let Some(signal) = status.terminating_signal() {
        return Some((u8::try_from(128 + signal).unwrap_or(u8::MAX), signal));
    }
    Some((u8::try_from(status.exit_status()?).unwrap_or(u8::MAX), 0))
}

fn tell(mut link: &UnixStream, what: ToWrapper) {
    // A wrapper that has died is noticed by whoever reads.
    drop(writeln!(link, "{what}"));
}
