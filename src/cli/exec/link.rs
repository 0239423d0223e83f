//! What wrapper and guard tell each other: lines over a socket. Its end is the death of the other.

use std::fmt;

use domain::plugin::Pid;

/// What the wrapper tells the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToGuard {
    /// Send this signal to the command's process group.
    Signal(i32),
    /// The shell has continued us: go on, with the terminal if we have it.
    Continue,
}

/// What the guard tells the wrapper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToWrapper {
    /// The command has this process id.
    Started(Pid),
    /// The command was stopped from the keyboard: the shell should know.
    Stopped,
    /// The command has ended, and so have those that it left behind.
    Ended(Ending),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// What the wrapper exits with: the command's own code, or 128 and its signal as in a shell.
    pub code: u8,
    /// The signal that killed it, or 0.
    pub signal: i32,
    /// How many processes it had left behind.
    pub left_behind: usize,
    /// How many of them could not be ended.
    pub still_there: usize,
}

impl fmt::Display for ToGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToGuard::Signal(signal) => write!(f, "signal {signal}"),
            ToGuard::Continue => f.write_str("continue"),
        }
    }
}

impl fmt::Display for ToWrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToWrapper::Started(pid) => write!(f, "started {pid}"),
            ToWrapper::Stopped => f.write_str("stopped"),
            ToWrapper::Ended(end) => {
                write!(f, "ended {} {} {} {}", end.code, end.signal, end.left_behind, end.still_there)
            }
        }
    }
}

impl ToGuard {
    /// Reads a line; `None` when it is none of these.
    pub fn read(line: &str) -> Option<ToGuard> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("signal", number) => number.parse().ok().map(ToGuard::Signal),
            ("continue", "") => Some(ToGuard::Continue),
            _ => None,
        }
    }
}

impl ToWrapper {
    /// Reads a line; `None` when it is none of these.
    pub fn read(line: &str) -> Option<ToWrapper> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("started", pid) => pid.parse().ok().map(ToWrapper::Started),
            ("stopped", "") => Some(ToWrapper::Stopped),
            ("ended", rest) => {
                let mut numbers = rest.split(' ');
                Some(ToWrapper::Ended(Ending {
                    code: numbers.next()?.parse().ok()?,
                    signal: numbers.next()?.parse().ok()?,
                    left_behind: numbers.next()?.parse().ok()?,
                    still_there: numbers.next()?.parse().ok()?,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_as_it_was_written() {
        for told in [ToGuard::Signal(15), ToGuard::Continue] {
            assert_eq!(ToGuard::read(&told.to_string()), Some(told));
        }
        let ending = Ending { code: 137, signal: 9, left_behind: 3, still_there: 1 };
        for told in [ToWrapper::Started(42), ToWrapper::Stopped, ToWrapper::Ended(ending)] {
            assert_eq!(ToWrapper::read(&told.to_string()), Some(told));
        }
        assert_eq!((ToGuard::read("signal"), ToWrapper::read("ended 1 2")), (None, None));
    }
}
