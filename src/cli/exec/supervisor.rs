//! The supervisor: parent of the command, and subreaper of its descendants. It ends them if the wrapper or the monitor
//! dies.
//!
//! It stays in the process group and the session of the command, and blocks every signal. If the supervisor receives a
//! copy of the wrapper's signal, the sender signalled the whole group (the keyboard, or a shell its job) or the whole
//! control group (systemd). Then the command has the signal already, and does not get it twice.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use nix::sys::signal::Signal as NamedSignal;
use nix::unistd::getpgid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, set_child_subreaper, set_parent_process_death_signal, wait, waitpid,
};
use tokio::time::Instant;

use super::control_socket::{ControlSocket, Ending, Message};
use super::descendants::Descendants;
use super::inherited_files::InheritedFiles;
use super::reap::{Ended, end_descendants, end_left_behind};
use super::signals::{self, Blocked, Received, Signals, send};
use super::{OWN_FAILURE, SignalTarget, complain, own_program, set_process_name};

/// How long a signal waits for its copy at the supervisor. systemd takes some milliseconds for a whole control group.
const COPY: Duration = Duration::from_millis(20);

/// How long the supervisor remembers a copy.
const MEMORY: Duration = Duration::from_secs(1);

/// The signals by which a terminal stops processes.
const JOB_CONTROL: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];

/// The flags that the monitor passes to the supervisor.
#[derive(Debug, Clone, Args)]
pub struct SupervisorArgs {
    #[arg(long)]
    wrapper_socket: String,
    #[arg(long)]
    monitor_socket: String,
    #[arg(long)]
    wrapper: u32,
    #[arg(long)]
    monitor: u32,
    /// In seconds.
    #[arg(long)]
    grace: u64,
    #[arg(long)]
    signal: SignalTarget,
    #[arg(long, default_value = "")]
    blocked: Blocked,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the command when the monitor sends [`Message::Start`], and waits until the command and its descendants have
/// ended.
///
/// # Errors
///
/// If a system call fails.
pub fn run(args: &SupervisorArgs) -> anyhow::Result<()> {
    signals::block().context("cannot block signals")?;
    set_process_name(c"exec-supervisor");
    let inherited = InheritedFiles::find();
    // The kernel wakes a stopped supervisor when the monitor dies.
    set_parent_process_death_signal(Some(Signal::CONT))?;
    set_child_subreaper(Some(getpid())).context("the supervisor is no subreaper")?;
    let mut supervisor = Supervisor {
        signals: Signals::new().context("cannot read signals")?,
        wrapper: ControlSocket::call(&args.wrapper_socket).context("the wrapper does not listen")?,
        monitor: ControlSocket::call(&args.monitor_socket).context("the monitor does not listen")?,
        args: args.clone(),
        inherited: Some(inherited),
        command: None,
        to_forward: VecDeque::new(),
        copies: Vec::new(),
    };
    let ending = supervisor.supervise()?;
    supervisor.send_to_both(Message::Ended(ending));
    Ok(())
}

struct Supervisor {
    args: SupervisorArgs,
    signals: Signals,
    wrapper: ControlSocket,
    monitor: ControlSocket,
    inherited: Option<InheritedFiles>,
    command: Option<Pid>,
    /// Signals that the wrapper received.
    to_forward: VecDeque<ToForward>,
    /// Signals that this process received itself.
    copies: Vec<(Received, Instant)>,
}

struct ToForward {
    received: Received,
    /// When to forward it, unless its copy arrives. A signal from before the start of the command is due at once.
    due: Instant,
}

impl Supervisor {
    fn supervise(&mut self) -> anyhow::Result<Ending> {
        loop {
            self.wait()?;
            while let Some(received) = self.signals.next() {
                self.remember(received);
            }
            let (Some(from_wrapper), Some(from_monitor)) = (self.wrapper.receive(), self.monitor.receive()) else {
                return Ok(self.end_everything());
            };
            for message in from_wrapper {
                if let Message::Signal(received) = message {
                    let patience = if self.command.is_some() { COPY } else { Duration::ZERO };
                    self.to_forward.push_back(ToForward { received, due: Instant::now() + patience });
                }
            }
            if from_monitor.contains(&Message::Start)
                && let Err(error) = self.start()
            {
                complain(&format!("{error:#}"));
                return Ok(Ending { code: OWN_FAILURE, signal: 0, left_behind: 0, still_there: 0 });
            }
            if let Some(ending) = self.collect() {
                return Ok(ending);
            }
            self.forward();
        }
    }

    /// Waits for the next event.
    fn wait(&self) -> anyhow::Result<()> {
        let next = self.to_forward.front().filter(|_| self.command.is_some());
        let timeout = next.map(|next| next.due.saturating_duration_since(Instant::now()));
        // One more millisecond, so that the time has come.
        let timeout = timeout.and_then(|rest| Timespec::try_from(rest + Duration::from_millis(1)).ok());
        let mut files = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.wrapper, PollFlags::IN),
            PollFd::new(&self.monitor, PollFlags::IN),
        ];
        match poll(&mut files, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("the supervisor cannot wait"),
        }
    }

    fn remember(&mut self, received: Received) {
        // The wrapper and the monitor wake this process by SIGCONT.
        let is_ours = [self.args.wrapper, self.args.monitor].contains(&received.sender);
        if self.command.is_some() && !is_ours && received.signal != Signal::CHILD.as_raw() {
            self.copies.push((received, Instant::now()));
        }
    }

    fn forward(&mut self) {
        let Some(command) = self.command else { return };
        let now = Instant::now();
        self.copies.retain(|(_, at)| now.duration_since(*at) < MEMORY);
        while let Some(ToForward { received, due }) = self.to_forward.pop_front() {
            if let Some(copy) = self.copies.iter().position(|(copy, _)| *copy == received) {
                self.copies.remove(copy);
            } else if received.sender == 0 && JOB_CONTROL.iter().any(|signal| signal.as_raw() == received.signal) {
                // The kernel sends these to the whole process group. SIGCONT may have cancelled the copy.
            } else if due <= now {
                self.signal(command, received.signal);
            } else {
                self.to_forward.push_front(ToForward { received, due });
                return;
            }
        }
    }

    fn signal(&self, command: Pid, signal: i32) {
        send(command, signal);
        let SignalTarget::Group = self.args.signal else { return };
        let group = |pid: i32| getpgid(Some(nix::unistd::Pid::from_raw(pid))).ok();
        let Some(of_command) = group(command.as_raw_nonzero().get()) else { return };
        for one in Descendants::open().of_this_process() {
            let Some(pid) = i32::try_from(one.pid).ok().and_then(Pid::from_raw) else { continue };
            if pid != command && group(pid.as_raw_nonzero().get()) == Some(of_command) {
                send(pid, signal);
            }
        }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let mut starter = own_program("exec-start");
        starter.args(["exec-start", "--supervisor", &std::process::id().to_string()]);
        starter.args(["--wrapper", &self.args.wrapper.to_string(), "--blocked", &self.args.blocked.as_word()]);
        let has_no_status = signals::ignores_child_signals();
        if has_no_status {
            starter.arg("--wait");
        }
        let child = starter.arg("--").args(&self.args.command).spawn().context("cannot start the command")?;
        let command =
            i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the command has no process id")?;
        if has_no_status {
            // The starter has inherited the dispositions, which the command inherits. Only now may this process change
            // its own.
            signals::handle(NamedSignal::SIGCHLD)?;
            waitpid(Some(command), WaitOptions::UNTRACED).context("the command ended before its start")?;
            send(command, Signal::CONT.as_raw());
        }
        self.command = Some(command);
        if let Some(inherited) = self.inherited.take() {
            inherited.release();
        }
        self.send_to_both(Message::Started(child.id()));
        Ok(())
    }

    /// Collects the children that have ended; returns how the command ended, if it has.
    fn collect(&mut self) -> Option<Ending> {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED;
        while let Ok(Some((pid, status))) = wait(options) {
            // The others are orphans.
            if self.command != Some(pid) {
                continue;
            }
            if let Some(signal) = status.stopping_signal() {
                self.wrapper.send(Message::Stopped(signal));
            } else if status.continued() {
                if let Some(wrapper) = i32::try_from(self.args.wrapper).ok().and_then(Pid::from_raw) {
                    send(wrapper, Signal::CONT.as_raw());
                }
            } else if let Some((code, signal)) = end_of(status) {
                let Ended { found, left } = end_left_behind(Duration::from_secs(self.args.grace));
                return Some(Ending { code, signal, left_behind: found, still_there: left });
            }
        }
        None
    }

    /// Ends everything: without the wrapper or the monitor, no process reports the command, or none receives the user's
    /// signals.
    fn end_everything(&mut self) -> Ending {
        // A stopped monitor cannot report.
        if let Some(monitor) = i32::try_from(self.args.monitor).ok().and_then(Pid::from_raw)
            && rustix::process::getppid() == Some(monitor)
        {
            send(monitor, Signal::CONT.as_raw());
        }
        let mut how = None;
        let ended = end_descendants(Duration::from_secs(self.args.grace), &mut |pid, status| {
            if self.command == Some(pid) {
                how = end_of(status);
            }
        });
        let (code, signal) = how.unwrap_or((OWN_FAILURE, 0));
        let others = ended.found.saturating_sub(usize::from(how.is_some()));
        Ending { code, signal, left_behind: others, still_there: ended.left }
    }

    fn send_to_both(&self, message: Message) {
        self.wrapper.send(message);
        self.monitor.send(message);
    }
}

fn end_of(status: WaitStatus) -> Option<(u8, i32)> {
    if let Some(signal) = status.terminating_signal() {
        return Some((u8::try_from(128 + signal).unwrap_or(u8::MAX), signal));
    }
    Some((u8::try_from(status.exit_status()?).unwrap_or(u8::MAX), 0))
}
