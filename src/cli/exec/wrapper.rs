//! The wrapper: the process that the user starts, and that ends as the command ends.
//!
//! It does the work that only this process can do. The user signals it, a shell stops, continues and waits for it, and
//! systemd accepts notifications from it.

use std::io;
use std::process::Child;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, getpid, set_child_subreaper};
use tokio::time::Instant;
use tracing::{error, warn};

use super::control_socket::{ControlSocket, Ending, Listener, Message};
use super::descendants::Descendants;
use super::inherited_files::InheritedFiles;
use super::notify_socket::{self, NotifySocket};
use super::reap::end_descendants;
use super::signals::{self, Blocked, Received, Signals, send};
use super::{ExecArgs, OWN_FAILURE, OWN_FAILURE_ENDING, own_program};
use crate::liveness::stat::Stat;

/// How much longer than the user's patience the monitor may take to report the end.
const OVERTIME: Duration = Duration::from_secs(10);

/// How long after a signal to check whether the supervisor is stopped.
const A_MOMENT: Duration = Duration::from_millis(100);

/// The signals by which a user ends the wait for the report.
const IMPATIENT: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Runs the command, and returns how it ended.
///
/// # Errors
///
/// If the command cannot be started.
pub fn run(args: &ExecArgs, blocked: Blocked, inherited: InheritedFiles) -> anyhow::Result<Ending> {
    set_child_subreaper(Some(getpid())).context("this process is no subreaper")?;
    let signals = Signals::new().context("cannot read signals")?;
    let notifications = NotifySocket::open();
    let listener = Listener::new().context("cannot create a socket for the monitor")?;
    let mut process = spawn_monitor(&listener, blocked, notifications.as_ref()).context("cannot start the monitor")?;
    inherited.release();
    if Descendants::open().are_hidden() {
        warn!("there is no /proc, so exec cannot find processes that the command leaves behind; they keep running");
    }
    // A monitor that has ended has logged the reason.
    let Some(mut monitor) = listener.call_of(&mut process) else { return Ok(OWN_FAILURE_ENDING) };
    let Some(supervisor_pid) = supervisor_of(&mut monitor)? else { return Ok(OWN_FAILURE_ENDING) };
    let Some(supervisor) = listener.call_by(supervisor_pid, || monitor.receive().is_some()) else {
        return Ok(OWN_FAILURE_ENDING);
    };
    let mut wrapper = Wrapper {
        args,
        signals,
        notifications,
        process,
        monitor: Some(monitor),
        supervisor: Some(supervisor),
        supervisor_pid,
        ending: None,
        deadline: None,
        look_at: None,
    };
    wrapper.wait_for_the_end()
}

fn spawn_monitor(listener: &Listener, blocked: Blocked, notifications: Option<&NotifySocket>) -> io::Result<Child> {
    let mut monitor = own_program("exec-monitor");
    monitor.args(["exec-monitor", "--wrapper-socket", &listener.name, "--wrapper", &std::process::id().to_string()]);
    monitor.args(["--blocked", &blocked.as_word()]);
    // The user's arguments, after the name of this program and `exec`.
    monitor.args(std::env::args_os().skip(2));
    if let Some(notifications) = notifications {
        monitor.env(notify_socket::VARIABLE, notifications.path());
    }
    monitor.spawn()
}

/// The process id of the supervisor; `None` if the monitor ended first.
fn supervisor_of(monitor: &mut ControlSocket) -> anyhow::Result<Option<u32>> {
    loop {
        poll(&mut [PollFd::new(&*monitor, PollFlags::IN)], None).context("the wrapper cannot wait")?;
        let Some(messages) = monitor.receive() else { return Ok(None) };
        for message in messages {
            if let Message::Supervisor(pid) = message {
                return Ok(Some(pid));
            }
        }
    }
}

struct Wrapper<'a> {
    args: &'a ExecArgs,
    signals: Signals,
    notifications: Option<NotifySocket>,
    process: Child,
    /// `None` after the monitor has ended or was killed.
    monitor: Option<ControlSocket>,
    /// `None` after the supervisor has ended or was killed.
    supervisor: Option<ControlSocket>,
    supervisor_pid: u32,
    ending: Option<Ending>,
    /// The time by which the monitor must have reported the end.
    deadline: Option<Instant>,
    /// When to check that the supervisor is not stopped, after a signal was forwarded to it.
    look_at: Option<Instant>,
}

impl Wrapper<'_> {
    fn wait_for_the_end(&mut self) -> anyhow::Result<Ending> {
        loop {
            self.wait()?;
            while let Some(received) = self.signals.next() {
                self.forward(received);
            }
            self.hear_the_supervisor();
            self.hear_the_monitor();
            if let Some(notifications) = &self.notifications {
                notifications.forward();
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                warn!("the monitor does not report the end; killing it");
                self.deadline = None;
                drop(self.process.kill());
            }
            if self.look_at.is_some_and(|at| at <= Instant::now()) {
                self.look_at = None;
                // A stopped supervisor cannot forward. A running one must not receive SIGCONT, which would cancel a
                // SIGTSTP that it has not read.
                if is_stopped(self.supervisor_pid) {
                    wake(self.supervisor_pid);
                }
            }
            match (&self.monitor, &self.supervisor, self.ending) {
                (None, _, Some(ending)) => {
                    drop(self.process.wait());
                    return Ok(ending);
                }
                (None, None, None) => return Ok(self.alone()),
                _ => {}
            }
        }
    }

    fn wait(&self) -> anyhow::Result<()> {
        let next = self.deadline.into_iter().chain(self.look_at).min();
        let timeout = next.map(|next| next.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|rest| Timespec::try_from(rest + Duration::from_millis(1)).ok());
        let mut files = vec![PollFd::new(&self.signals, PollFlags::IN)];
        files.extend(self.monitor.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN)));
        files.extend(self.supervisor.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN)));
        files.extend(self.notifications.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN)));
        match poll(&mut files, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("the wrapper cannot wait"),
        }
    }

    fn forward(&mut self, received: Received) {
        let is_own = received.signal == Signal::CHILD.as_raw() || received.sender == self.supervisor_pid;
        if is_own {
            return;
        }
        if self.ending.is_some() {
            let is_impatient = IMPATIENT.iter().any(|signal| signal.as_raw() == received.signal);
            if let (true, Some(monitor)) = (is_impatient, &self.monitor) {
                monitor.send(Message::Hurry);
            }
        } else if let Some(supervisor) = &self.supervisor {
            supervisor.send(Message::Signal(received));
            self.look_at = Some(Instant::now() + A_MOMENT);
        }
    }

    fn hear_the_supervisor(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let Some(messages) = supervisor.receive() else {
            self.supervisor = None;
            // The supervisor may have been killed, and a stopped monitor would not notice.
            wake(self.process.id());
            return;
        };
        for message in messages {
            match message {
                Message::Stopped(signal) => {
                    // Read the wrapper's own copies first, so that they do not count as later signals.
                    while let Some(received) = self.signals.next() {
                        self.forward(received);
                    }
                    signals::stop_by(signal);
                }
                Message::Ended(ending) => self.has_ended(ending),
                _ => {}
            }
        }
    }

    fn hear_the_monitor(&mut self) {
        let Some(monitor) = &mut self.monitor else { return };
        let Some(messages) = monitor.receive() else {
            self.monitor = None;
            if self.ending.is_none() {
                error!("the monitor was killed; ending everything that the command started");
                wake(self.supervisor_pid);
            }
            return;
        };
        for message in messages {
            if let Message::Ended(ending) = message {
                self.has_ended(ending);
            }
        }
    }

    fn has_ended(&mut self, ending: Ending) {
        if self.monitor.is_none() {
            // The wrapper has already logged that everything is ended, and not by the command.
            self.ending = Some(Ending { code: OWN_FAILURE, signal: 0, ..ending });
            return;
        }
        self.ending = Some(ending);
        self.deadline = Some(Instant::now() + Duration::from_secs(self.args.report_patience) + OVERTIME);
        // A stopped monitor could not report the end.
        wake(self.process.id());
    }

    /// Supervisor and monitor were killed, and the kernel has killed the command: ends the other descendants.
    fn alone(&self) -> Ending {
        error!("the supervisor was killed, too");
        let ended = end_descendants(Duration::from_secs(self.args.grace), &mut |_, _| {});
        Ending { left_behind: ended.found, still_there: ended.left, ..OWN_FAILURE_ENDING }
    }
}

fn is_stopped(pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    Stat::parse(&line).is_some_and(|stat| stat.state == b'T')
}

fn wake(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        send(pid, Signal::CONT.as_raw());
    }
}
