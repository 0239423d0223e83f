//! Signals without handlers: blocks every signal, and reads signals from a descriptor (signalfd(2)).
//!
//! A handler would change the inherited disposition, and a command that is started afterwards would find the default
//! instead of *ignored*. The kernel queues a blocked signal even if it is ignored (sigaction(2)). So nohup(1) and the
//! background jobs of scripts keep their dispositions, and the command still receives the signals that it handles.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{Pid, getpid, kill_process};

/// The signals by which the kernel reports a fault of this process. They are never blocked.
const FAULTS: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGSYS];

/// A signal that this process received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// The sender's process id; 0 for the kernel, as after a key press.
    pub sender: u32,
}

/// Blocks all signals except faults in this thread, and in all threads and processes that it starts. Returns the
/// signals that were blocked before.
///
/// # Errors
///
/// If the system refuses.
pub fn block() -> io::Result<Blocked> {
    let before = SigSet::thread_get_mask()?;
    blockable().thread_set_mask()?;
    Ok(Blocked(before))
}

fn blockable() -> SigSet {
    let mut signals = SigSet::all();
    for fault in FAULTS {
        signals.remove(fault);
    }
    signals
}

/// The signals that were blocked when the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked(SigSet);

impl Blocked {
    /// Blocks only these signals.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn restore(self) -> io::Result<()> {
        Ok(self.0.thread_set_mask()?)
    }

    /// The word on the command line.
    pub fn as_word(self) -> String {
        let numbers: Vec<String> = self.0.iter().map(|signal| (signal as i32).to_string()).collect();
        numbers.join(",")
    }
}

impl FromStr for Blocked {
    type Err = String;

    fn from_str(word: &str) -> Result<Blocked, String> {
        let mut signals = SigSet::empty();
        for number in word.split(',').filter(|number| !number.is_empty()) {
            let number: i32 = number.parse().map_err(|_| "must be signal numbers".to_owned())?;
            signals.add(Signal::try_from(number).map_err(|error| error.to_string())?);
        }
        Ok(Blocked(signals))
    }
}

/// The signals that this process receives.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Reads signals; call [`block`] first.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor left.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals(SignalFd::with_flags(&blockable(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next signal; `None` if none is waiting.
    pub fn next(&self) -> Option<Received> {
        let info = self.0.read_signal().ok().flatten()?;
        let signal = i32::try_from(info.ssi_signo).ok()?;
        Some(Received { signal, sender: info.ssi_pid })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns true if and only if this process was started with SIGCHLD ignored. Then the kernel keeps no exit status of
/// its children (wait(2)).
pub fn ignores_child_signals() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (Signal::SIGCHLD as i32 - 1) & 1 == 1
}

/// Replaces *ignored* by a handler that does nothing. The handler lasts until this process calls execve(2), which
/// restores the default.
///
/// # Errors
///
/// If the system refuses.
pub fn handle(signal: Signal) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _within = runtime.enter();
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(signal as i32)).map(drop)
}

/// Stops this process by `signal`, so that the shell sees the reason.
pub fn stop_by(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else { return };
    if signal == Signal::SIGSTOP {
        let _ignored = raise(signal);
        return;
    }
    // While it is blocked, the signal merges with an unread one from the keyboard, so the two stop this process once. A
    // SIGCONT that arrives before the unblocking cancels the signal, as it should.
    let Some(number) = rustix::process::Signal::from_named_raw(signal as i32) else { return };
    let _ignored = kill_process(getpid(), number);
    let mut one = SigSet::empty();
    one.add(signal);
    let _ignored = one.thread_unblock();
    let _ignored = one.thread_block();
}

/// Ends this process by `signal`, as the command ended; returns if the signal does not end it.
pub fn die_by(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else { return };
    // The command has dumped its own core if it should; a core of this process is useless.
    let _ignored = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let mut one = SigSet::empty();
    one.add(signal);
    let _ignored = one.thread_unblock();
    // At the first fault, Rust's handler restores the default and returns.
    let _ignored = raise(signal);
    let _ignored = raise(signal);
}

/// Sends a signal to a process. Ignores that the process may have ended.
pub fn send(pid: Pid, signal: i32) {
    if let Some(signal) = rustix::process::Signal::from_named_raw(signal) {
        let _ignored = kill_process(pid, signal);
        return;
    }
    // No safe function sends a real-time signal, so this uses the shell.
    let script = format!("kill -{signal} {}", pid.as_raw_nonzero());
    drop(std::process::Command::new("/bin/sh").args(["-c", &script]).status());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_signals_are_read_as_they_were_written() {
        let blocked: Blocked = "1,15".parse().unwrap();
        assert_eq!(blocked.as_word().parse(), Ok(blocked));
        assert_eq!("".parse::<Blocked>().unwrap().as_word(), "");
        assert!("1,x".parse::<Blocked>().is_err() && "4000".parse::<Blocked>().is_err());
    }
}
